import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdureMemory

/// What is kept twice, or must agree, is damaged on purpose: the audit has to see it.
struct AuditTests {
    struct Damage: CustomStringConvertible, Sendable {
        let description: String
        let expected: String
        let apply: @Sendable (inout MemoryState) -> Void

        init(_ description: String, _ expected: String, _ apply: @escaping @Sendable (inout MemoryState) -> Void) {
            self.description = description
            self.expected = expected
            self.apply = apply
        }
    }

    // Run 1 is owned, 2 waits for a time and a message, 3 is blocked, 4 is closed, 5 asks, 6 waits for a key, 7 and 8 are in a queue for
    // one.
    static let damages = [
        Damage("a due run that is not found", "due") { $0.work[0].due = OrderedIndex() },
        Damage("a message that wakes nobody", "wake") { $0.runs[1].hostAt = nil },
        Damage("a message that claims do not find", "told") { $0.work[0].told = OrderedIndex() },
        Damage("a blocked run that is not found", "blocked") { $0.work[0].blocked = [] },
        Damage("an owner without its run", "owned by") { $0.nodes[0].owned = OrderedIndex() },
        Damage("an owner without its messages", "told and owned") { $0.nodes[0].arrivals = OrderedIndex() },
        Damage("an owner that nobody knows", "does not know") { $0.nodes[0].registration.id = NodeID(rawValue: "x") },
        Damage("a run that is owned and waits", "has an owner") { $0.runs[0].record.state = .waiting },
        Damage("a closed run that is not found", "closed") { $0.closed = OrderedIndex() },
        Damage("a closed run without its time", "no closing time") { $0.runs[3].record.closedAt = nil },
        Damage("a run that closed otherwise than its history", "ends with") { $0.runs[3].record.state = .failed },
        Damage("a history that has lost its beginning", "first events") { $0.runs[0].events.removeFirst() },
        Damage("a history with a gap", "gap") { $0.runs[0].events.remove(at: 1) },
        Damage("a request that is not listed", "open requests") { $0.openRequests = OrderedIndex() },
        Damage("a request that is forgotten", "open requests") { $0.runs[4].requests = [] },
        Damage("a mark that is gone", "marks") { $0.runs[0].marks = [:] },
        Damage("labels that nobody gave", "labels") { $0.runs[0].labels[ByteText("a")] = ByteText("b") },
        Damage("a key that leads nowhere", "by its key") { $0.keys = [:] },
        Damage("an id that leads nowhere", "by its id") { $0.numbers = [:] },
        Damage("a waiter that the key does not know", "does not know of it") { $0.businessKeys[0].waiters = OrderedIndex() },
        Damage("a waiter of a settled key", "cannot be told of") { $0.businessKeys[0].record.outcome = .free },
        Damage("a line that a run has left", "the line of 'a'") { $0.queues[0] = $0.queues[0].bare },
        Damage("a run that waits for nothing", "waits for nothing") { $0.runs[7].record.queue = nil },
        Damage("a run that has passed its queue", "was not admitted") { $0.runs[7].record.state = .ready },
        Damage("a run that is late at another time", "than its deadline") { $0.runs[7].deadline = Sample.start },
        Damage("a place that nobody has", "other places than the runs have") { $0.runs[6].record.isAdmitted = false },
        Damage("a run among those of another version", "work of another") { $0.runs[1].record.version = "2" },
    ]

    @Test("Damage is named", arguments: damages)
    func named(_ damage: Damage) async throws {
        let database = MemoryDatabase { Sample.start }
        let store = try database.open(.engine)
        try await Self.populate(store)
        #expect(try await store.audit().isEmpty)
        try database.call(1) { state, _ in damage.apply(&state) }
        let breaches = try await store.audit()
        #expect(breaches.contains { $0.contains(damage.expected) }, "\(breaches)")
    }

    private static func populate(_ store: MemoryStore) async throws {
        let node = NodeID(rawValue: "node-1")
        try await store.register(NodeRegistration(id: node, build: "b1", host: "host", processID: 1))
        var runs: [SampleRun] = []
        for number in 1...6 {
            var run = SampleRun(key: "k\(number)", owner: node)
            guard case .created(let record)? = try store.commitHere([run.creation]).first else { throw StoreError.closed }
            run.record = record
            runs.append(run)
        }
        let key = BusinessKey(namespace: "default", step: "charge", key: "7")
        let take = BusinessKeyTake(key: key, generation: 1, subject: "charge", inputDigest: "d")
        let drafts = [
            EventDraft(.statusReported), EventDraft(.stepIntended, subject: "charge"), EventDraft(.versionPatched, subject: "p"),
        ]
        _ = try store.commitHere([
            .advance(runs[0].advance(drafts, takes: [take])),
            .advance(runs[1].advance([], to: .init(to: .waiting, wakeAt: Sample.start + .seconds(5)))),
            .advance(runs[2].advance([], to: .init(to: .blocked, blockedBuild: "b1"))),
            .advance(runs[3].advance([EventDraft(.runCompleted)], to: .init(to: .completed))),
            .advance(runs[4].advance([EventDraft(.questionAsked, subject: "q")], to: .init(to: .waiting))),
            .advance(runs[5].advance([], to: .init(to: .waiting))),
        ])
        for run in runs.prefix(2) {
            _ = try store.commitHere([.deliver(Delivery(to: run.record.id, id: "d", kind: .signal, sender: Sample.person))])
        }
        #expect(try await store.awaitKey(key, run: runs[5].number, subject: "charge") == nil)
        try await store.setQueue(QueueKey(namespace: "default", name: "q"), QueueLimits(concurrency: 1), by: Sample.person)
        for _ in 1...2 {
            _ = try store.commitHere([SampleRun(place: QueuePlace("q", key: "a")).creation])
        }
        #expect(try await store.admit().admitted == 1)
    }
}
