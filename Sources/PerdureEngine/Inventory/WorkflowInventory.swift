import Perdure

/// Which workflows and steps cannot get through an interruption unaided, and why.
///
/// A step is code, so it is known only of runs that have reached it: those of a crash matrix, and those of a store or of exported
/// histories. A step that none of them has reached is not in here.
public struct WorkflowInventory: Sendable, Codable, Hashable {
    /// A step as histories tell of it.
    public struct Step: Sendable, Codable, Hashable {
        /// Its scopes and its name, without ids and occurrences: `batch/charge`.
        public var name: String
        /// What repeating it would do: `idempotent`, `at_most_once` or `transactional`; empty if no history says.
        public var effect: String
        /// Whether the other side can be asked if it happened. Only at-most-once steps have it; `nil` if no history says.
        public var hasProbe: Bool?
        /// Whether each of its uses has waited for an approval.
        public var hasApproval: Bool
        /// Why it has no undo; `nil` if it has one.
        public var irreversible: String?
        /// What repeating its undo would do, once one has begun.
        public var undoEffect: String?
        /// The same as `hasProbe`, of the undo.
        public var undoHasProbe: Bool?

        /// Whether it or its undo may have to wait for a person's word.
        var needsOwner: Bool {
            let atMostOnce = EffectKind.atMostOnce.name
            return effect == atMostOnce || undoEffect == atMostOnce || hasApproval
        }
    }

    /// What histories tell of one version of a workflow.
    public struct Sighting: Sendable, Codable, Hashable {
        /// The workflow's name.
        public var workflow: String
        /// The version that the runs are on.
        public var version: String
        /// How many runs were looked at.
        public var runs: Int
        /// The steps that they have reached, in the order in which they first appear.
        public var steps: [Step]
        /// Steps at which a run was blocked because the workflow has no owner.
        public var refused: [String]
    }

    /// Something that an interrupted run cannot get through unaided.
    public struct Finding: Sendable, Codable, Hashable {
        /// What kind of thing.
        public enum Kind: String, Sendable, Codable, CaseIterable {
            /// Nobody is named who answers for the workflow's runs.
            case noOwner = "no_owner"
            /// A step is sent at most once and has no probe.
            case noProbe = "no_probe"
            /// An undo is sent at most once and has no probe.
            case noProbeOfUndo = "no_probe_of_undo"
            /// A step cannot be undone, and nobody is asked before it.
            case irreversibleWithoutApproval = "irreversible_without_approval"
            /// No crash matrix is given for the workflow.
            case notTried = "not_tried"
        }

        /// What kind of thing.
        public var kind: Kind
        /// The step that it is about; `nil` if it is the workflow.
        public var step: String?
        /// Whether runs are blocked by it, rather than left to a person.
        public var stopsRuns: Bool
        /// What it means, in a sentence.
        public var message: String
    }

    /// One version of a workflow.
    public struct Entry: Sendable, Codable, Hashable {
        /// The workflow's name.
        public var workflow: String
        /// Its version.
        public var version: String
        /// Who answers for its runs; `nil` if nobody is named, or if its code is not here.
        public var owner: String?
        /// Whether its code is here.
        public var isRegistered: Bool
        /// Whether a crash matrix has interrupted it.
        public var isTried: Bool
        /// How many of its runs were looked at.
        public var runs: Int
        /// The steps that they have reached.
        public var steps: [Step]
        /// What it cannot get through unaided.
        public var findings: [Finding]
    }

    /// Every version of every workflow, by name.
    public var entries: [Entry]

    /// Whether a finding stops runs: what a rollout must not have.
    public var stopsRuns: Bool { entries.contains { $0.findings.contains(where: \.stopsRuns) } }
    /// Whether nothing was found.
    public var isClean: Bool { entries.allSatisfy(\.findings.isEmpty) }

    /// Puts together what is registered and what was seen.
    ///
    /// - Parameters:
    ///   - workflows: Those whose code is here.
    ///   - tried: What the histories of crash matrices tell.
    ///   - recorded: What the histories of real runs tell.
    public init(_ workflows: [RegisteredWorkflow], tried: [Sighting] = [], recorded: [Sighting] = []) {
        var entries: [Entry] = workflows.map { workflow in
            Entry(
                workflow: workflow.name, version: workflow.version.description, owner: workflow.owner, isRegistered: true,
                isTried: false, runs: 0, steps: [], findings: [])
        }
        var refused: [String: [String]] = [:]
        for (index, sighting) in (tried + recorded).enumerated() {
            let place = entries.firstIndex { $0.workflow == sighting.workflow && $0.version == sighting.version }
            var entry =
                place.map { entries[$0] }
                ?? Entry(
                    workflow: sighting.workflow, version: sighting.version, owner: nil, isRegistered: false, isTried: false,
                    runs: 0, steps: [], findings: [])
            if index < tried.count { entry.isTried = true }
            entry.runs += sighting.runs
            for step in sighting.steps { entry.steps.add(step) }
            refused[entry.id, default: []] += sighting.refused
            if let place { entries[place] = entry } else { entries.append(entry) }
        }
        for index in entries.indices {
            entries[index].findings = entries[index].judged(refused: refused[entries[index].id] ?? [])
        }
        self.entries = entries.sorted { ($0.workflow, $0.version) < ($1.workflow, $1.version) }
    }
}

// MARK: - Judging

extension WorkflowInventory.Entry {
    fileprivate var id: String { "\(workflow) \(version)" }

    fileprivate func judged(refused: [String]) -> [WorkflowInventory.Finding] {
        var findings: [WorkflowInventory.Finding] = []
        if isRegistered, owner == nil { findings.append(noOwner(refused)) }
        for step in steps {
            if step.effect == EffectKind.atMostOnce.name, step.hasProbe == false {
                findings.append(
                    .init(
                        kind: .noProbe, step: step.name, stopsRuns: false,
                        message:
                            "'\(step.name)' is sent at most once and has no probe: cut off in its middle, it waits until a person "
                            + "has found out whether it happened."))
            }
            if step.undoEffect == EffectKind.atMostOnce.name, step.undoHasProbe == false {
                findings.append(
                    .init(
                        kind: .noProbeOfUndo, step: step.name, stopsRuns: false,
                        message:
                            "The undo of '\(step.name)' is sent at most once and has no probe: cut off in its middle, it waits "
                            + "until a person has found out whether it happened."))
            }
            if let reason = step.irreversible, !step.hasApproval {
                findings.append(
                    .init(
                        kind: .irreversibleWithoutApproval, step: step.name, stopsRuns: false,
                        message:
                            "'\(step.name)' cannot be undone (\(reason)), and nobody is asked before it: of a run that fails or "
                            + "is cancelled afterwards it stays."))
            }
        }
        if isRegistered, !isTried {
            findings.append(
                .init(
                    kind: .notTried, step: nil, stopsRuns: false,
                    message: "Nothing is given to try it with, so nothing shows that it survives an interruption."))
        }
        return findings
    }

    private func noOwner(_ refused: [String]) -> WorkflowInventory.Finding {
        var names = steps.filter(\.needsOwner).map(\.name)
        for name in refused where !names.contains(name) { names.append(name) }
        let message =
            names.isEmpty
            ? "It names no owner: nobody is known to answer for its runs."
            : "It names no owner, but has steps that may have to wait for a person's word: its runs are blocked at the first of "
                + "\(names.map { "'\($0)'" }.joined(separator: ", ")) that has not begun. Give it a 'static let owner'."
        return .init(kind: .noOwner, step: nil, stopsRuns: !names.isEmpty, message: message)
    }
}

extension [WorkflowInventory.Step] {
    /// Takes in another use of a step. What is worse of the two counts.
    mutating func add(_ step: WorkflowInventory.Step) {
        guard let index = firstIndex(where: { $0.name == step.name }) else { return append(step) }
        func both(_ first: Bool?, _ second: Bool?) -> Bool? { first.map { $0 && second ?? true } ?? second }
        if self[index].effect.isEmpty || step.effect == EffectKind.atMostOnce.name { self[index].effect = step.effect }
        self[index].hasProbe = both(self[index].hasProbe, step.hasProbe)
        self[index].hasApproval = self[index].hasApproval && step.hasApproval
        self[index].irreversible = self[index].irreversible ?? step.irreversible
        self[index].undoEffect = step.undoEffect ?? self[index].undoEffect
        self[index].undoHasProbe = both(self[index].undoHasProbe, step.undoHasProbe)
    }
}
