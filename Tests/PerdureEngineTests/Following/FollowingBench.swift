import Foundation
import Logging
import Perdure
import PerdureHistory
import PerdureMemory
import PerdureSQLite
import PerdureStore
import PerdureStoreConformance
import Synchronization
import Testing

@testable import PerdureEngine

/// A store with runs, and processes that follow them.
final class FollowingBench: Sendable {
    enum Kind: Sendable, CaseIterable { case memory, sqlite }

    struct Told: Hashable, Sendable {
        let run: RunID
        let seq: Int64
    }

    static let node = NodeID(rawValue: "node-1")

    let clock = ManualClock()
    let store: any Store
    let log = LogRecorder(Pulse())
    private let open: @Sendable (StoreConfiguration.Role) async throws -> any Store
    private let remove: @Sendable () -> Void
    private let runs = Mutex<[RunID: SampleRun]>([:])

    private init(_ kind: Kind) async throws {
        let clock = clock
        switch kind {
        case .memory:
            let database = MemoryDatabase { clock.now() }
            open = { try await StoreConfiguration.memory(database).open($0) }
            remove = {}
        case .sqlite:
            let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-following-\(UUID())")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            open = { try await StoreConfiguration.sqlite(folder.appending(path: "a.db").path) { clock.now() }.open($0) }
            remove = { try? FileManager.default.removeItem(at: folder) }
        }
        store = try await open(.engine)
        try await store.register(NodeRegistration(id: Self.node, build: "b1", host: "host", processID: 1))
    }

    static func with(_ kind: Kind, _ body: (FollowingBench) async throws -> Void) async throws {
        let bench = try await FollowingBench(kind)
        defer { bench.remove() }
        try await body(bench)
        await bench.store.close()
    }

    // MARK: Runs

    @discardableResult
    func begin(_ workflow: String = "greeting") async throws -> RunID {
        var run = SampleRun(workflow: workflow, owner: Self.node, at: clock.now())
        guard case .created(let record)? = try await store.commit([run.creation]).first else { throw Refused() }
        run.record = record
        runs.withLock { [run] in $0[run.record.id] = run }
        return record.id
    }

    /// Events that mean nothing here.
    func grow(_ id: RunID, by count: Int = 1) async throws {
        try await commit(id, (0..<count).map { EventDraft(.timerStarted, subject: "t\($0)") })
    }

    func end(_ id: RunID, _ kind: EventKind = .runCompleted) async throws {
        let state: RunState = kind == .runTerminated ? .terminated : .completed
        try await commit(id, [EventDraft(kind)], to: .init(to: state))
    }

    func commit(_ id: RunID, _ drafts: [EventDraft], to transition: RunTransition? = nil) async throws {
        guard var run = runs.withLock({ $0[id] }) else { throw Refused() }
        let advance = run.advance(drafts, to: transition, at: clock.now())
        guard case .advanced? = try await store.commit([.advance(advance)]).first else { throw Refused() }
        runs.withLock { [run] in $0[id] = run }
    }

    /// Everything that has happened.
    var all: Set<Told> {
        Set(runs.withLock { runs in runs.flatMap { id, run in run.events.map { Told(run: id, seq: $0.seq) } } })
    }

    func events(of id: RunID) -> Set<Told> { all.filter { $0.run == id } }

    struct Refused: Error {}

    // MARK: Followers

    /// A process that follows.
    ///
    /// - Parameter store: What it sees of the store.
    func process(
        _ ears: Ears, consumer: String = "spans", over store: (any Store)? = nil, elapsed: ElapsedTime = ElapsedTime()
    ) throws -> HistoryFollower {
        let client = Client(store: store ?? self.store) { _ in throw Refused() }
        let logger = Logger(label: "test") { _ in self.log }
        return try HistoryFollower(consumer, client: client, logger: logger, timing: elapsed.timing) { record, events in
            try ears.hear(record, events)
        }
    }

    func follower(of store: any Store) -> Client { Client(store: store) { _ in throw Refused() } }

    /// Rows that say something: those of runs that have ended stay, empty.
    func rows(_ consumer: String = "spans") async throws -> [ControlRow] {
        try await store.controls(.all(kind: FollowerMarks.kind(of: consumer), after: nil, limit: 1_000))
            .filter { $0.value != Array("[]".utf8) }
    }
}

/// What a consumer was told, by whatever process.
final class Ears: Sendable {
    private struct State {
        var told: [FollowingBench.Told] = []
        var refusal: (@Sendable (RunRecord, [Event]) throws -> Void)?
        var flaws: [String] = []
    }

    private let state = Mutex(State())

    var told: [FollowingBench.Told] { state.withLock { $0.told } }
    var heard: Set<FollowingBench.Told> { Set(told) }
    /// What came in another order than that of its history.
    var flaws: [String] { state.withLock { $0.flaws } }

    func refuse(_ refusal: (@Sendable (RunRecord, [Event]) throws -> Void)?) { state.withLock { $0.refusal = refusal } }

    func hear(_ record: RunRecord, _ events: [Event]) throws {
        if let refusal = state.withLock({ $0.refusal }) { try refusal(record, events) }
        state.withLock { state in
            if events.isEmpty || zip(events, events.dropFirst()).contains(where: { $0.seq + 1 != $1.seq }) {
                state.flaws.append("a page of \(record.id) has a gap")
            }
            if let first = events.first, first.seq > 1, !state.told.contains(.init(run: record.id, seq: first.seq - 1)) {
                state.flaws.append("event \(first.seq) of \(record.id) was told before the one before it")
            }
            state.told += events.map { .init(run: record.id, seq: $0.seq) }
        }
    }
}

/// A clock that a test moves; what is to be waited for is over at once.
final class ElapsedTime: Sendable {
    private let time = Mutex(Duration.zero)

    func advance(by duration: Duration) { time.withLock { $0 += duration } }

    var timing: HistoryFollower.Timing {
        HistoryFollower.Timing(
            elapsed: { self.time.withLock { $0 } },
            sleep: { duration in
                try Task.checkCancellation()
                self.advance(by: duration)
                await Task.yield()
            })
    }
}

/// What a process sees of a store that dies with its so-manieth call.
struct MortalStore {
    let store: WatchedStore
    var isDead: Bool { store.isDoomed }

    /// - Parameter isDone: Whether the last call is done.
    init(_ base: any Store, dies call: Int, isDone: Bool) {
        let script = StoreScript(), calls = Counter()
        script.set { _ in
            calls.next() < call ? .apply : isDone ? .dieAfter : .dieBefore
        }
        store = WatchedStore(base, pulse: Pulse(), script: script)
    }
}

/// A store that cannot be reached while a test says so.
final class RefusingStore: Sendable {
    let refuses = Mutex(false)
    private let base: any Store
    private let script = StoreScript()

    init(_ base: any Store) { self.base = base }

    var store: WatchedStore {
        script.set { [weak self] _ in
            self?.refuses.withLock { $0 } == true ? .fail(.unavailable("a test says so")) : .apply
        }
        return WatchedStore(base, pulse: Pulse(), script: script)
    }
}

private final class Counter: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }
}
