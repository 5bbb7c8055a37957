import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

/// Looks into the inboxes of runs of which something has come due. Those that ask while one look is under way share the next one.
final class InboxLook: Sendable {
    private struct State {
        var asking: [Activation] = []
        var isLooking = false
    }

    private let store: any Store
    private let clock: any EngineClock
    private let scheduler: Scheduler
    private let runtime: EngineRuntime
    private let logger: Logger
    private let state = Mutex(State())
    private static let limit = 256

    init(store: any Store, clock: any EngineClock, scheduler: Scheduler, runtime: EngineRuntime, logger: Logger) {
        self.store = store
        self.clock = clock
        self.scheduler = scheduler
        self.runtime = runtime
        self.logger = logger
    }

    /// Posts the run its unread messages, as they are after this call.
    func ask(for activation: Activation) {
        let begins = state.withLock { state in
            state.asking.append(activation)
            defer { state.isLooking = true }
            return !state.isLooking
        }
        if begins { runtime.spawn { await self.look() } }
    }

    private func look() async {
        while let asking = next() {
            let now = clock.now()
            do {
                let pages = try await store.inboxes(of: asking.map(\.number))
                for activation in asking {
                    if let page = pages[activation.number] {
                        activation.post(.inbox(ReadInbox(page, at: now)))
                    } else {
                        ask(for: activation)
                    }
                }
            } catch {
                logger.error("inboxes cannot be read", metadata: ["runs": "\(asking.count)", "error": "\(error)"])
                scheduler.schedule(after: .seconds(1)) { [self] in for activation in asking { ask(for: activation) } }
            }
        }
    }

    private func next() -> [Activation]? {
        state.withLock { state in
            let next = Array(state.asking.prefix(Self.limit))
            state.asking.removeFirst(next.count)
            if next.isEmpty { state.isLooking = false }
            return next.isEmpty ? nil : next
        }
    }
}
