import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// What somebody sees of a store who is confined to one namespace: nothing of the others.
@Suite(.timeLimit(.minutes(5))) struct ConfinementTests {
    /// What another tenant has, and somebody has guessed.
    struct Foreign: Sendable {
        let run: RunInfo
        let approval: PendingApproval
        var id: RunID { run.id }
    }

    /// A public method of `Client`, asked of what another tenant has.
    struct Row: Sendable, CustomTestStringConvertible {
        enum Outcome: Sendable {
            /// It throws this.
            case code(PerdureError.Code)
            /// It shows nothing of the other tenant.
            case nothing
        }

        let name: String
        let outcome: Outcome
        /// Returns whether anything of the other tenant was seen or done.
        let call: @Sendable (Client, Foreign) async throws -> Bool
        var testDescription: String { name }

        init(
            _ name: String, _ outcome: Outcome = .code(.runUnknown),
            _ call: @escaping @Sendable (Client, Foreign) async throws -> Bool
        ) {
            (self.name, self.outcome, self.call) = (name, outcome, call)
        }

        /// One that returns nothing.
        static func act(
            _ name: String, _ code: PerdureError.Code = .runUnknown,
            _ call: @escaping @Sendable (Client, Foreign) async throws -> Void
        ) -> Row {
            Row(name, .code(code)) { client, foreign in
                try await call(client, foreign)
                return true
            }
        }
    }

    private static let ada = EngineHarness.ada

    /// Every public method there is.
    static let rows: [Row] = runs + messages + interventions + schedules + tenants

    private static let runs: [Row] = [
        .act("run") { _ = try await $0.run($1.id) },
        .act("latest") { _ = try await $0.latest(of: $1.id) },
        Row("runs", .nothing) { client, _ in try await !client.runs().isEmpty },
        Row("runs", .nothing) { client, _ in try await !client.runs(for: .cancel, in: RunSelection(workflow: "flow")).isEmpty },
        .act("labels") { _ = try await $0.labels(of: $1.id) },
        .act("status") { _ = try await $0.status(of: $1.id) },
        Row("counts", .nothing) { client, _ in
            let own = try await client.counts(), named = try await client.counts(namespace: "other")
            return !own.isEmpty || !named.isEmpty
        },
        Row("pendingApprovals", .nothing) { client, _ in
            let all = try await client.pendingApprovals(), named = try await client.pendingApprovals(namespace: "other")
            return !all.isEmpty || !named.isEmpty
        },
        Row("pendingQuestions", .nothing) { client, _ in
            let all = try await client.pendingQuestions(), named = try await client.pendingQuestions(namespace: "other")
            return !all.isEmpty || !named.isEmpty
        },
        .act("stuckSteps") { _ = try await $0.stuckSteps(of: $1.id) },
        .act("pendingApprovals") { _ = try await $0.pendingApprovals(of: $1.id) },
        .act("pendingQuestions") { _ = try await $0.pendingQuestions(of: $1.id) },
        Row("versions", .nothing) { client, _ in
            let all = try await client.versions(), named = try await client.versions(namespace: "other")
            return all.contains { !$0.runs.isEmpty } || named.contains { !$0.runs.isEmpty }
        },
        Row("attempts", .nothing) { client, _ in
            let all = try await client.attempts(), named = try await client.attempts(in: "other")
            return !(all.reports + named.reports).isEmpty
        },
        .act("start", .usage) { client, _ in
            _ = try await client.start(workflow: "flow", json: Data("1".utf8), in: "other", by: ada)
        },
        .act("fork") { _ = try await $0.fork($1.id, at: 1, by: ada) },
    ]

    private static let messages: [Row] = [
        .act("signal") { try await $0.signal($1.id, Poke.self, "x", by: ada) },
        .act("signal") { try await $0.signal($1.id, name: "poke", json: Data("1".utf8), by: ada) },
        .act("decide") { try await $0.decide($1.approval, approve: false, by: ada) },
        .act("answer") { try await $0.answer($1.id, question: "q", with: "x", by: ada) },
        .act("answer") { try await $0.answer($1.id, question: "q", json: Data("1".utf8), by: ada) },
        .act("update") { _ = try await $0.update($1.id, Prod.self, "x", by: ada) },
        .act("update") { _ = try await $0.update($1.id, name: "prod", json: Data("1".utf8), by: ada) },
    ]

    private enum Prod: Update {
        typealias Payload = String
        typealias Reply = String
        static let name = "prod"
    }

    private static let interventions: [Row] = [
        .act("cancel") { try await $0.cancel($1.id, by: ada) },
        .act("terminate") { try await $0.terminate($1.id, by: ada) },
        .act("retry") { try await $0.retry($1.id, by: ada) },
        .act("resolve") { try await $0.resolve($1.id, step: "s", .didNotHappen, by: ada) },
        .act("pause") { try await $0.pause($1.id, by: ada) },
        .act("unpause") { try await $0.unpause($1.id, by: ada) },
        .act("settleLoss") { try await $0.settleLoss(of: $1.id, by: ada) },
        .act("repin") { try await $0.repin($1.id, to: "2", by: ada) },
        .act("resetPreview") { _ = try await $0.resetPreview($1.id, to: 1) },
        .act("reset") { try await $0.reset($1.id, to: 1, by: ada) },
        .act("intervene") { client, foreign in
            let result = try await client.intervene(.terminate(reason: nil), in: [foreign.run], by: ada).first
            if let error = result?.error { throw error }
        },
    ]

    private static let schedules: [Row] = [
        .act("schedule", .usage) {
            try await $0.schedule("new", try Schedule(.every(.minutes(1)), Flow.self, input: "a"), in: "other", by: ada)
            _ = $1
        },
        .act("schedule", .scheduleUnknown) {
            _ = try await $0.schedule("s", in: "other")
            _ = $1
        },
        .act("changeSchedule", .scheduleUnknown) {
            try await $0.changeSchedule("s", to: try Schedule(.every(.minutes(1)), Flow.self, input: "b"), in: "other", by: ada)
            _ = $1
        },
        .act("pauseSchedule", .scheduleUnknown) { client, _ in
            try await client.pauseSchedule("s", note: "n", in: "other", by: ada)
        },
        .act("resumeSchedule", .scheduleUnknown) { client, _ in try await client.resumeSchedule("s", in: "other", by: ada) },
        .act("triggerSchedule", .scheduleUnknown) { client, _ in
            _ = try await client.triggerSchedule("s", in: "other", by: ada)
        },
        .act("backfillSchedule", .scheduleUnknown) { client, _ in
            try await client.backfillSchedule("s", from: .distantPast, to: .distantPast, in: "other", by: ada)
        },
        .act("dueTimes", .scheduleUnknown) { client, _ in
            _ = try await client.dueTimes(ofSchedule: "s", from: .distantPast, to: .distantPast, in: "other")
        },
        Row("schedules", .nothing) { client, _ in
            let all = try await client.schedules(), named = try await client.schedules(in: "other")
            return !all.isEmpty || !named.isEmpty
        },
        .act("removeSchedule", .scheduleUnknown) { client, _ in try await client.removeSchedule("s", in: "other") },
    ]

    private static let tenants: [Row] = [
        .act("setQueue", .usage) { client, _ in
            try await client.setQueue("q", limits: QueueLimits(concurrency: 9), in: "other", by: ada)
        },
        Row("queues", .nothing) { client, _ in
            let all = try await client.queues(), named = try await client.queues(in: "other")
            return !all.isEmpty || !named.isEmpty
        },
        Row("namespaces", .nothing) { client, _ in try await client.namespaces().contains { $0.name == "other" } },
        .act("changeNamespace", .usage) { client, _ in
            try await client.changeNamespace("other", by: ada) { $0 = NamespaceSettings(closedAfter: .zero) }
        },
        Row("quotas", .nothing) { client, _ in try await client.quotas()["other"] != nil },
        .act("changeQuotas", .usage) { client, _ in try await client.changeQuotas(of: "other", by: ada) { $0.openRuns = 0 } },
        .act("recoverRestored", .usage) { client, _ in _ = try await client.recoverRestored(by: ada) },
        .act("recoverRestored", .usage) { client, _ in _ = try await client.recoverRestored(by: ada, seen: nil) },
        Row("restoration", .nothing) { client, _ in try await client.restoration() != nil },
        Row("restorableRuns", .nothing) { client, _ in try await client.restorableRuns() > 0 },
        .act("confined", .usage) { client, _ in _ = try client.confined(to: "other") },
    ]

    // MARK: The table is whole

    // Promise: 46
    @Test func `every public method of a client is in the table`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let folder = root.appending(path: "Sources/PerdureEngine/Client")
        var found: [String: Int] = [:]
        for file in try FileManager.default.contentsOfDirectory(atPath: folder.path) where file.hasPrefix("Client") {
            let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
            for match in text.matches(of: #/\n    public func (\w+)/#) { found[String(match.1), default: 0] += 1 }
        }
        // Ends the use of the store, whatever is in it.
        found["close"] = nil
        var known: [String: Int] = [:]
        for row in Self.rows { known[row.name, default: 0] += 1 }
        #expect(found == known)
    }

    // MARK: What is asked

    /// A tenant `other` with a run that asks and waits, one that has closed, a schedule, a queue and quotas; then whoever is asked.
    private func withTenant(_ body: (EngineHarness, Engine, Foreign) async throws -> Void) async throws {
        try await withEngines { harness in
            let engine = try await harness.open(configure: { $0.namespace = "other" }) {
                Flow { input, context in
                    if input == "done" { return input }
                    async let answer = context.ask("q", "How?", as: String.self)
                    try await context.act(
                        "pay", input: input, .atMostOnce(inDoubt: .askPerson),
                        approval: .required(by: .anyone, within: .seconds(86_400)), irreversible: "x"
                    ) { _, _ in }
                    return try await answer
                }
            }
            let client = engine.client
            let run = try await engine.start(Flow.self, input: "x", key: "k", by: EngineHarness.ada).id
            try await client.wait { client in
                let approvals = try await client.pendingApprovals(of: run), questions = try await client.pendingQuestions(of: run)
                return approvals.count == 1 && questions.count == 1
            }
            try await harness.until(run, is: .waiting)
            let done = try await engine.start(Flow.self, input: "done", by: EngineHarness.ada).id
            try await harness.until(done, is: .completed)
            let approval = try #require(try await client.pendingApprovals(of: run).first)
            try await engine.schedule("s", Schedule(.every(.days(30)), Flow.self, input: "a"), by: EngineHarness.ada)
            try await client.setQueue("q", limits: QueueLimits(concurrency: 1), in: "other", by: EngineHarness.ada)
            try await client.changeQuotas(of: "other", by: EngineHarness.ada) { $0.openRuns = 10 }
            try await body(harness, engine, Foreign(run: try await client.run(run), approval: approval))
        }
    }

    /// All that is stored, as far as anybody could change it.
    private func everything(_ client: Client) async throws -> [String] {
        let store = client.store
        var found: [String] = []
        for record in try await store.runs(RunFilter()) {
            found.append("\(record)")
            found += try await store.events(of: record.number, after: 0, limit: 1_000).map { "\($0.seq) \($0.hash)" }
            found += try await store.inbox(run: record.number).map { "\($0.number)" }
        }
        found += try await store.schedules(.listed(namespace: nil, after: nil, limit: 10)).map { "\($0)" }
        found += try await store.queues(namespace: nil).map { "\($0)" }
        found += try await store.namespaces().map { "\($0)" }
        return found + (try await store.quotas().map { "\($0)" })
    }

    private func outcome(_ row: Row, _ client: Client, _ foreign: Foreign) async throws -> Result<Bool, PerdureError> {
        do {
            return .success(try await row.call(client, foreign))
        } catch let error as PerdureError {
            return .failure(error)
        }
    }

    // Promise: 46
    @Test func `a guessed id of another tenant is not found, whatever is asked of it, and nothing is written`() async throws {
        try await withTenant { _, engine, foreign in
            let confined = try engine.client.confined(to: "shop")
            let nobody = RunID(milliseconds: 1, random: (1, 2))
            let before = try await everything(engine.client)
            for row in Self.rows {
                let outcome = try await outcome(row, confined, foreign)
                switch (outcome, row.outcome) {
                case (.success(let isSeen), .nothing): #expect(!isSeen, "\(row.name) shows what another tenant has")
                case (.failure(let error), .code(let code)): #expect(error.code == code, "\(row.name): \(error)")
                default: Issue.record("\(row.name): \(outcome)")
                }
                #expect(try await everything(engine.client) == before, "\(row.name) has changed something")
                guard case .failure(let error) = outcome, error.code == .runUnknown else { continue }
                #expect(error.message == "There is no run \(foreign.id) in this store.", "\(row.name)")
                #expect(error.metadata.map(\.value) == [foreign.id.description])
            }
            // An id that was never given is answered alike.
            let error = await #expect(throws: PerdureError.self) { try await confined.run(nobody) }
            #expect(error?.message == "There is no run \(nobody) in this store.")
        }
    }

    @Test func `whoever is not confined is not told so, so that the table asks for something`() async throws {
        try await withTenant { _, engine, foreign in
            for row in Self.rows {
                // Nobody answers the update of a run that waits for something else.
                if row.name == "update" || row.name == "confined" { continue }
                switch (try await outcome(row, engine.client, foreign), row.outcome) {
                case (.success(let isSeen), .nothing): #expect(isSeen, "\(row.name)")
                case (.failure(let error), .code(let code)): #expect(error.code != code, "\(row.name): \(error)")
                case (.success, .code): break
                case (.failure(let error), .nothing): Issue.record("\(row.name): \(error)")
                }
            }
        }
    }

    // Promise: 46
    @Test func `a client of its own is confined as one of an engine is, and sees its own`() async throws {
        try await withTenant { harness, engine, foreign in
            let own = try engine.client.confined(to: "other")
            #expect(own.namespace == "other" && engine.client.namespace == nil)
            #expect(try await own.run(foreign.id).key == "k")
            #expect(try await own.pendingApprovals().map(\.run) == [foreign.id])
            #expect(try await own.schedule("s").id == "s")
            #expect(try await own.queues().map(\.name) == ["q"])
            #expect(try await own.namespaces().map(\.name) == ["other"])
            try await own.signal(foreign.id, Poke.self, "x", by: EngineHarness.ada)
            let (_, explanation) = try await own.explain(foreign.id, now: own.store.now())
            #expect(!explanation.sentences.isEmpty)
            let shop = try engine.client.confined(to: "shop")
            for call in [
                { _ = try await shop.explain(foreign.id, now: shop.store.now()) }, { _ = try await shop.lineage(of: foreign.id) },
                { _ = try await shop.history(of: foreign.id) }, { _ = try await shop.view(of: foreign.id) },
            ] as [() async throws -> Void] {
                let error = await #expect(throws: PerdureError.self) { try await call() }
                #expect(error?.code == .runUnknown)
            }
            #expect(try await shop.store.runNumbers(before: nil, limit: 10) == [])
            await #expect(throws: StoreError.self) { try await shop.store.audit() }
        }
    }

    // Promise: 46
    @Test func `that history went back is told to everybody, and nothing of other tenants with it`() async throws {
        try await withTenant { harness, engine, foreign in
            let reason = "event 3 of run \(foreign.id) is missing"
            let begun = try await engine.client.store.beginRestoration(by: "node-of-other", reason: reason)
            let shop = try engine.client.confined(to: "shop")
            let told = try #require(try await shop.restoration())
            #expect(told.number == begun.number && told.noticedAt == begun.noticedAt.date && told.recoveredAt == nil)
            #expect(told.noticedBy.isEmpty && told.reason.isEmpty && told.markedRuns == 0)
            let stored = try await shop.store.restoration()
            #expect(stored?.markedUpTo == 0 && stored?.marked == 0)
            let lifted = try await engine.client.recoverRestored(by: EngineHarness.ada)
            #expect(lifted.markedRuns == 1 && lifted.reason == reason)
            let recovered = try #require(try await shop.restoration())
            #expect(recovered.recoveredAt == lifted.recoveredAt && recovered.markedRuns == 0)
            #expect(try await shop.store.restoration()?.liftedBy == nil)
        }
    }

    // Promise: 46
    @Test func `what an engine's own calls see is its namespace, and names are every tenant's own`() async throws {
        try await withTenant { harness, _, foreign in
            try await harness.stop()
            let engine = try await harness.open(configure: { $0.namespace = "shop" }) { Flow { input, _ in input } }
            let error = await #expect(throws: PerdureError.self) { try await engine.result(of: foreign.id) }
            #expect(error?.code == .runUnknown)
            #expect(try await engine.find(Flow.self, id: foreign.id) == nil)
            #expect(try await engine.find(Flow.self, key: "k") == nil)
            let same = try await engine.start(Flow.self, input: "mine", key: "k", by: EngineHarness.ada)
            #expect(same.isNew && same.id != foreign.id)
            #expect(try await same.result() == "mine")
            #expect(try await engine.schedule("s", Schedule(.every(.days(30)), Flow.self, input: "b"), by: EngineHarness.ada))
            let queued = await #expect(throws: PerdureError.self) {
                try await engine.start(Flow.self, input: "x", queue: QueuePlace("q"), by: EngineHarness.ada)
            }
            #expect(queued?.code == .queueUnknown)
        }
    }
}
