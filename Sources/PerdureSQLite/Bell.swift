internal import Dispatch
internal import GRDBSQLite
internal import PerdureStore
internal import Synchronization

/// Rings when another process has written to the file.
///
/// `PRAGMA data_version` changes only by commits of other connections. It is asked on the connection that writes, so that our own
/// commits do not ring, and it costs a few microseconds: it looks at shared memory.
final class Bell: Sendable {
    private struct State {
        var handlers: [Int: @Sendable () -> Void] = [:]
        var lastHandler = 0
        var version: Int64?
        var timer: (any DispatchSourceTimer)?
        var isStopped = false
        /// Whether a look waits for its turn: a busy writer must not find a queue of them.
        var isAsking = false
    }

    private static let dataVersion = SQL("PRAGMA data_version")

    private let connection: Connection
    private let interval: Duration
    private let state = Mutex(State())

    init(_ connection: Connection, interval: Duration) {
        self.connection = connection
        self.interval = interval
    }

    deinit { stop() }

    func add(_ handler: @escaping @Sendable () -> Void) -> OutsideWatch {
        let (number, starts) = state.withLock { state in
            state.lastHandler += 1
            guard !state.isStopped else { return (state.lastHandler, false) }
            state.handlers[state.lastHandler] = handler
            guard state.timer == nil else { return (state.lastHandler, false) }
            let timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "perdure.sqlite.bell"))
            let microseconds = max(1_000, Int(interval / .microseconds(1)))
            timer.schedule(deadline: .now(), repeating: .microseconds(microseconds), leeway: .milliseconds(1))
            timer.setEventHandler { [weak self] in self?.ask() }
            state.timer = timer
            timer.resume()
            return (state.lastHandler, true)
        }
        // The version to compare with, taken before the caller goes on to look for what is there already.
        if starts { ask() }
        return OutsideWatch { [weak self] in self?.state.withLock { $0.handlers[number] = nil } }
    }

    /// Rings in this process alone, on the calling thread.
    func ringHere() { for handler in state.withLock({ Array($0.handlers.values) }) { handler() } }

    /// How many are called.
    var handlerCount: Int { state.withLock { $0.handlers.count } }

    func stop() {
        let timer = state.withLock { state in
            defer {
                state.timer = nil
                state.handlers = [:]
            }
            state.isStopped = true
            return state.timer
        }
        timer?.cancel()
    }

    private func ask() {
        let isFirst = state.withLock { state in
            defer { state.isAsking = true }
            return !state.isAsking
        }
        guard isFirst else { return }
        connection.enqueue { [weak self] session in
            guard let self else { return }
            // A failure is found by whoever works with the file; the next look may succeed.
            let version = try? session.first(Self.dataVersion) { try $0.integer(0) }
            for handler in self.heard(version) { handler() }
        }
    }

    private func heard(_ version: Int64?) -> [@Sendable () -> Void] {
        state.withLock { state in
            state.isAsking = false
            guard let version else { return [] }
            defer { state.version = version }
            guard let last = state.version, last != version else { return [] }
            return Array(state.handlers.values)
        }
    }
}
