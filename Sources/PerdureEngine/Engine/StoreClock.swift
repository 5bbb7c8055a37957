import Perdure
import PerdureHistory
import PerdureStore

/// The engine's time: that of its store, by which histories are stamped and the store decides what is due. What this machine's clock is
/// set to makes no difference; it only measures how long to wait.
struct StoreClock: EngineClock {
    private let store: any Store
    /// The machine's.
    private let machine: any EngineClock

    init(_ store: any Store, machine: any EngineClock) {
        self.store = store
        self.machine = machine
    }

    func now() -> Timestamp { store.now() }
    var elapsed: Duration { machine.elapsed }
    func onChange(_ handler: @escaping @Sendable () -> Void) { machine.onChange(handler) }
    func after(_ duration: Duration, _ action: @escaping @Sendable () -> Void) { machine.after(duration, action) }
    func afterRest(_ duration: Duration, _ action: @escaping @Sendable () -> Void) { machine.afterRest(duration, action) }

    /// That time on the machine's clock, for code that compares it with that.
    func machineTime(of time: Timestamp) -> Timestamp { machine.now() + time.duration(since: store.now()) }
}
