import Synchronization

@testable import PerdureEngine

/// What happened, in order.
final class Log: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func add(_ line: String) { lines.withLock { $0.append(line) } }
}

/// One wait that whoever likes can end.
final class Wait: Sendable {
    private let continuation = Mutex<CheckedContinuation<Void, Never>?>(nil)
    func untilResumed() async {
        await withCheckedContinuation { waiting in continuation.withLock { $0 = waiting } }
    }
    func resume() { continuation.withLock { $0.take() }?.resume() }
}

/// A run reduced to what its executor needs: a root task, and waits that the test ends by name inside of a drain.
final class TestRun: Sendable {
    let executor: RunExecutor
    let log = Log()
    private struct State {
        var waits: [(name: String, continuation: CheckedContinuation<Void, any Error>)] = []
        var root: Task<Void, Never>?
        var isFinished = false
        var isEvicted = false
    }
    private let state = Mutex(State())

    init(knowsTasks: Bool = JobTaskIDs.areReliable, onForeignEnqueue: @escaping RunExecutor.ForeignEnqueueHandler = { _ in }) {
        executor = RunExecutor(knowsTasks: knowsTasks, onForeignEnqueue: onForeignEnqueue)
    }

    var isFinished: Bool { state.withLock { $0.isFinished } }
    var waiting: [String] { state.withLock { $0.waits.map(\.name) } }
    /// What the engine calls "idle with nothing outstanding".
    var isStuck: Bool { state.withLock { !$0.isFinished && $0.waits.isEmpty } }

    func start(_ body: @escaping @Sendable (TestRun) async throws -> Void) {
        executor.drain {
            let root = Task(executorPreference: executor) {
                do { try await body(self) } catch { self.log.add("root threw \(error)") }
                self.state.withLock { $0.isFinished = true }
            }
            state.withLock { $0.root = root }
        }
    }

    /// Waits until the test calls ``wake(_:)``.
    func wait(_ name: String) async throws {
        if state.withLock({ $0.isEvicted }) { throw CancellationError() }
        try await withCheckedThrowingContinuation { continuation in
            state.withLock { $0.waits.append((name, continuation)) }
        }
    }

    func wake(_ names: String...) {
        let woken = state.withLock { state in
            names.compactMap { name in
                state.waits.firstIndex { $0.name == name }.map { state.waits.remove(at: $0).continuation }
            }
        }
        executor.drain { for continuation in woken { continuation.resume() } }
    }

    /// Ends the run the way the engine does: close the context, cancel the root, throw through every wait in order.
    func evict() {
        let (root, waits) = state.withLock { state in
            state.isEvicted = true
            defer { state.waits = [] }
            return (state.root, state.waits)
        }
        executor.drain {
            root?.cancel()
            for wait in waits { wait.continuation.resume(throwing: CancellationError()) }
        }
    }

    func cancelRoot() {
        let root = state.withLock { $0.root }
        executor.drain { root?.cancel() }
    }

    /// Adds whether the caller is where workflow code belongs.
    func note(_ what: String) {
        log.add(executor.isDrainingOnThisThread ? what : "\(what) elsewhere")
    }
}
