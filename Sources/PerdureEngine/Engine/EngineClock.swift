import Foundation
import Perdure
package import PerdureHistory

/// The engine's time. Injected, so that tests need none.
package protocol EngineClock: Sendable {
    func now() -> Timestamp
    /// How much time has passed since some moment, that in which the machine slept included, whatever the clock on the wall was set to.
    var elapsed: Duration { get }
    /// Calls the handler whenever the time was moved by hand.
    func onChange(_ handler: @escaping @Sendable () -> Void)
    /// Calls the action, on any thread, when so much time has passed, whatever the clock on the wall was set to meanwhile.
    func after(_ duration: Duration, _ action: @escaping @Sendable () -> Void)
    /// The same for housekeeping: nobody waits for it, and it comes again and again.
    func afterRest(_ duration: Duration, _ action: @escaping @Sendable () -> Void)
}

extension EngineClock {
    package var elapsed: Duration { SystemClock.start.duration(to: .now) }

    package func afterRest(_ duration: Duration, _ action: @escaping @Sendable () -> Void) { after(duration, action) }

    package func after(_ duration: Duration, _ action: @escaping @Sendable () -> Void) {
        let microseconds = Int(clamping: min(max(duration.microseconds, 0), 365 * 86_400 * 1_000_000))
        DispatchQueue.global().asyncAfter(deadline: .now() + .microseconds(microseconds), execute: action)
    }
}

package struct SystemClock: EngineClock {
    fileprivate static let start = ContinuousClock.now

    package init() {}
    package func now() -> Timestamp { Timestamp(Date()) }
    package func onChange(_ handler: @escaping @Sendable () -> Void) {}
}
