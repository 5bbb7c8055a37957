import Dispatch
import Perdure
import Testing

/// The upcoming features that the manifest turns on. The compiler ignores a name that is misspelt.
@Suite struct FeatureTests {
    @Test("The upcoming features are in force in this target")
    func flags() {
        var inForce: [String] = []
        #if hasFeature(NonisolatedNonsendingByDefault)
            inForce.append("NonisolatedNonsendingByDefault")
        #endif
        #if hasFeature(InternalImportsByDefault)
            inForce.append("InternalImportsByDefault")
        #endif
        #if hasFeature(ExistentialAny)
            inForce.append("ExistentialAny")
        #endif
        #if hasFeature(MemberImportVisibility)
            inForce.append("MemberImportVisibility")
        #endif
        #expect(inForce == Compiler.packageFeatures)
    }

    @Test("A nonisolated async function stays on the actor that calls it")
    func staysOnActor() async {
        #expect(await Office().asksPlainFunction())
    }

    @Test("A context tells the host which actor calls it, and runs the body elsewhere")
    func contextKnowsItsCaller() async throws {
        let host = RecordingHost(), office = Office()
        #expect(try await office.reads(host.context) == false)
        #expect(try await office.stepsAndActs(host.context) == false)
        #expect(host.record.isolations == Array(repeating: ObjectIdentifier(office), count: 3))
    }

    @Test("Scopes and uncancelled stay on the actor that calls them")
    func scopesStay() async throws {
        #expect(try await Office().scopes(RecordingHost().context))
    }
}

private let desk = DispatchSpecificKey<Bool>()

/// Whether the caller is on the office's queue.
private func isAtDesk() -> Bool { DispatchQueue.getSpecific(key: desk) ?? false }
private func isAtDeskAsync() async -> Bool { isAtDesk() }

private final class DeskExecutor: SerialExecutor {
    let queue = DispatchQueue(label: "desk")
    init() { queue.setSpecific(key: desk, value: true) }
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}

private actor Office {
    private let executor = DeskExecutor()
    private var visits = 0
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    func asksPlainFunction() async -> Bool { await isAtDeskAsync() }

    func reads(_ context: WorkflowContext) async throws -> Bool { try await context.read("where") { isAtDesk() } }

    func stepsAndActs(_ context: WorkflowContext) async throws -> Bool {
        let seen = Recorder<Bool>()
        try await context.step("where", input: 1, .idempotent(retention: .forever), irreversible: "a test") { number, _ in
            seen.add(isAtDesk())
            return number
        }
        try await context.act("where", input: 1, .idempotent(retention: .forever), irreversible: "a test") { _, _ in
            seen.add(isAtDesk())
        }
        return seen.values.contains(true)
    }

    func scopes(_ context: WorkflowContext) async throws -> Bool {
        let inScope = try await context.scope("where") {
            visits += 1
            return isAtDesk()
        }
        let uncancelled = await context.uncancelled {
            visits += 1
            return isAtDesk()
        }
        return inScope && uncancelled && isAtDesk() && visits == 2
    }
}
