import Perdure
import PerdureTesting

/// A place of the tour: a workflow that brings steps, undos and children into states that few workflows meet. Together they take every
/// transition of the run machine.
enum TourPlace: String, Codable, CaseIterable, Sendable {
    case approvals, lateApprovals, hurriedApproval, otherView
    case keys, freedKeys, approvedKeys, givenUpKeys, givenUpApprovedKeys, otherInput
    case deadLetters, intendedDeadLetters, deadUndo, givenUpDeadLetter, undoneDeadLetter, settledDeadLetter
    case retries, givenUpRetries, slowStore, doubts, probes, unwanted, unwantedDoubt, personsUndo
    case unwinding, messages, hasty, children, hurriedChildren, abandonedChild, lateChild
    // Played by children only.
    case holder, freeingHolder, slowHolder, patientChild, promptChild, stubbornChild, diligentChild, napping

    /// Those that are tried by themselves.
    static let stops = allCases.filter { !parts.contains($0) }
    private static let parts: Set<TourPlace> = [
        .holder, .freeingHolder, .slowHolder, .patientChild, .promptChild, .stubbornChild, .diligentChild, .napping,
    ]
}

/// Plays a place.
struct TourRun: Workflow {
    static let name = "tour"
    static let owner = "tour"
    static let version: WorkflowVersion = "1"

    enum Nudge: Signal {
        static let name = "nudge"
        typealias Payload = Int
    }

    let world: TourWorld

    func run(_ place: TourPlace, _ context: WorkflowContext) async throws -> String {
        switch place {
        case .approvals: try await approvals(context)
        case .lateApprovals: try await lateApprovals(context)
        case .hurriedApproval: try await hurriedApproval(context)
        case .otherView: try await otherView(context)
        case .keys: try await keys("7", holder: .holder, context)
        case .freedKeys: try await keys("8", holder: .freeingHolder, context)
        case .approvedKeys: try await approvedKeys(context)
        case .givenUpKeys: try await givenUpKeys(context)
        case .givenUpApprovedKeys: try await givenUpApprovedKeys(context)
        case .otherInput: try await otherInput(context)
        case .deadLetters: try await deadLetters(context)
        case .intendedDeadLetters: try await intendedDeadLetters(context)
        case .deadUndo: try await deadUndo(context)
        case .givenUpDeadLetter: try await givenUpDeadLetter(context)
        case .undoneDeadLetter: try await undoneDeadLetter(context)
        case .settledDeadLetter: try await settledDeadLetter(context)
        case .retries: try await retries(context)
        case .givenUpRetries: try await givenUpRetries(context)
        case .slowStore: try await slowStore(context)
        case .doubts: try await doubts(context)
        case .probes: try await probes(context)
        case .unwanted: try await unwanted(context)
        case .unwantedDoubt: try await unwantedDoubt(context)
        case .personsUndo: try await personsUndo(context)
        case .unwinding: try await unwinding(context)
        case .messages: try await messages(context)
        case .hasty: try await hasty(context)
        case .children: try await children(context)
        case .hurriedChildren: try await hurriedChildren(context)
        case .abandonedChild: try await abandonedChild(context)
        case .lateChild: try await lateChild(context)
        case .holder: return try await hold("7", until: 3, isRefused: false, context)
        case .freeingHolder: return try await hold("8", until: 3, isRefused: true, context)
        case .slowHolder: return try await hold("9", until: 6, isRefused: false, context)
        case .patientChild: try await context.sleep(for: .hours(3))
        case .diligentChild:
            try await context.sleep(for: .hours(2))
            try await note("went on", context)
        case .promptChild: try await context.sleep(for: .hours(1))
        case .stubbornChild:
            return try await context.uncancelled {
                try await context.sleep(for: .hours(2))
                return "stubborn"
            }
        case .napping: try await context.sleep(for: .minutes(1))
        }
        return place.rawValue
    }

    // MARK: Parts

    /// Notes at the other side that the code came by here.
    func note(_ what: String, _ context: WorkflowContext) async throws {
        try await context.act("note", id: what, input: what, .idempotent(retention: .forever), irreversible: "it was read") {
            [world] what, step in
            world.does(what, step)
        }
    }

    /// The other side says no.
    func refuse(_ context: WorkflowContext) async throws {
        try await context.act("refuse", input: "", .idempotent(retention: .forever), irreversible: "it never happens") { _, _ in
            throw Rejected("no")
        }
    }

    /// The code of the failure that the body throws.
    func failure(_ body: () async throws -> Void) async throws -> String {
        do {
            try await body()
            return "none"
        } catch let failure as StepFailure {
            return failure.code
        }
    }

    /// The body, until a time passes.
    func within(_ limit: Duration, _ id: String, _ context: WorkflowContext, _ body: @escaping @Sendable () async throws -> Void)
        async throws
    {
        do {
            try await context.timeout(limit, id: id, body)
        } catch let failure as StepFailure where failure.code == StepFailure.timedOut {
            try await note("\(id) was given up", context)
        }
    }

    /// An at-most-once effect whose other side can be asked.
    func once(_ effect: String) -> Effect<String, Void> {
        .atMostOnce(inDoubt: .probe { [world] _, _ in world.stands(effect) ? .happened(()) : .didNotHappen })
    }
}
