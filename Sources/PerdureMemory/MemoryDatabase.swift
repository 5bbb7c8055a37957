internal import Perdure
package import PerdureHistory
package import PerdureStore
internal import Synchronization

/// What several processes share: the histories in memory, and who has them open. It outlives every `MemoryStore` that is opened on it.
///
/// Nothing in it depends on threads, on the time of day or on chance: every call is done when it returns, on the thread that makes it,
/// and the same calls in the same order come to the same end. Handlers of other processes are called before a call returns, in the
/// order in which they were given.
package final class MemoryDatabase: Sendable {
    /// How it is told who is dead.
    package enum Ownership: Sendable, Hashable {
        /// One engine at a time has it open. Whoever opens it next knows that every node before is dead.
        case exclusive
        /// Any number of engines at once. A node lives as long as it renews its lease, which has this length; see `Store.renew`.
        case leases(Duration)
    }

    package let identity: String
    package let ownership: Ownership
    /// Stamps events and deliveries, and dates leases.
    let clock: @Sendable () -> Timestamp

    private struct Shared {
        var state = MemoryState()
        /// Those that have it open, by their numbers.
        var processes: [Int: MemoryProcess] = [:]
        var lastProcess = 0
        /// The one engine that has it open, where there can be only one.
        var engine: Int?
        var watches: [Watch] = []
        var lastWatch = 0
    }

    private struct Watch {
        let number: Int
        let process: Int
        let handler: @Sendable () -> Void
    }

    private let shared = Mutex(Shared())

    /// - Parameter identity: tells two stores apart in exports and messages.
    package init(
        identity: String = "memory", ownership: Ownership = .exclusive, clock: @escaping @Sendable () -> Timestamp
    ) {
        self.identity = identity
        self.ownership = ownership
        self.clock = clock
    }

    /// Opens it as another process would.
    ///
    /// - Parameter clock: the process's own clock, by which it sees whether other nodes renew their leases; the database's by default.
    package func open(
        _ role: StoreConfiguration.Role, clock: (@Sendable () -> Timestamp)? = nil
    ) throws(StoreError) -> MemoryStore {
        let process = try shared.withLock { shared throws(StoreError) in
            if role == .engine, ownership == .exclusive, shared.engine != nil {
                throw .unusable(.storeLocked, "Another engine has the store in memory open. Close it first.")
            }
            shared.lastProcess += 1
            shared.processes[shared.lastProcess] = MemoryProcess(role: role)
            if role == .engine, ownership == .exclusive { shared.engine = shared.lastProcess }
            return shared.lastProcess
        }
        return MemoryStore(self, process: process, clock: clock ?? self.clock)
    }

    /// The one way to the state: everything a call does is done in `body`.
    func call<Result: Sendable>(
        _ process: Int, _ body: (inout MemoryState, inout MemoryProcess) throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        let (result, handlers) = try shared.withLock { shared throws(StoreError) -> (Result, [@Sendable () -> Void]) in
            guard var caller = shared.processes[process] else { throw .closed }
            let result = try body(&shared.state, &caller)
            shared.processes[process] = caller
            let (hasNews, isOwn) = (shared.state.hasNews, shared.state.hasQueueNews)
            (shared.state.hasNews, shared.state.hasQueueNews) = (false, false)
            guard hasNews || isOwn else { return (result, []) }
            return (result, shared.watches.filter { isOwn || $0.process != process }.map(\.handler))
        }
        for handler in handlers { handler() }
        return result
    }

    /// Whether an engine has it open; only to be asked where there can be one.
    var hasEngine: Bool { shared.withLock { $0.engine != nil } }

    func watch(_ process: Int, _ handler: @escaping @Sendable () -> Void) -> OutsideWatch {
        let number = shared.withLock { shared in
            shared.lastWatch += 1
            guard shared.processes[process] != nil else { return shared.lastWatch }
            shared.watches.append(Watch(number: shared.lastWatch, process: process, handler: handler))
            return shared.lastWatch
        }
        return OutsideWatch { [weak self] in
            self?.shared.withLock { shared in shared.watches.removeAll { $0.number == number } }
        }
    }

    /// The process has it open no longer. Its node stays registered until it is proved dead, as after a crash.
    func close(_ process: Int) {
        shared.withLock { shared in
            shared.processes[process] = nil
            shared.watches.removeAll { $0.process == process }
            if shared.engine == process { shared.engine = nil }
        }
    }
}

/// What one process knows that has the database open: nothing of it is durable.
struct MemoryProcess: Sendable {
    let role: StoreConfiguration.Role
    /// The node that it has registered last.
    var node: NodeID?
    /// How it has seen the leases of others.
    var sightings = Sightings()

    init(role: StoreConfiguration.Role) { self.role = role }

    /// Owning runs is for engines.
    func requireEngine(_ wish: String) throws(StoreError) {
        guard role == .engine else {
            throw .unusable(.usage, "A client of a store in memory cannot \(wish); open it as an engine.")
        }
    }
}

extension StoreConfiguration {
    /// Keeps histories in memory, as long as somebody keeps the database.
    ///
    /// - Parameter clock: see `MemoryDatabase.open`.
    package static func memory(
        _ database: MemoryDatabase, clock: (@Sendable () -> Timestamp)? = nil
    ) -> StoreConfiguration {
        StoreConfiguration { role in try database.open(role, clock: clock) }
    }
}
