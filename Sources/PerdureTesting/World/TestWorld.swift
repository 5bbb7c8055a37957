import Perdure
import PerdureHistory
import Synchronization

/// The other side as a test plays it: whatever the workflow acts upon, with a count of what stands there.
public protocol TestWorld: Sendable {
    /// How often each effect stands now, by a name of the test's own: `["account ada": 1]`. What was undone counts no more. Effects that do
    /// not stand may be left out.
    var effects: [String: Int] { get }
}

/// A ready-made other side that counts effects and remembers keys, as a provider with idempotency keys does. A test's own world can hold
/// one and pass its `effects` on.
public final class EffectLedger: TestWorld {
    private struct State {
        var counts: [String: Int] = [:]
        var answers: [String: any Sendable] = [:]
        var undone: Set<String> = []
    }

    private let state = Mutex(State())

    /// An other side on which nothing has happened.
    public init() {}

    public var effects: [String: Int] { state.withLock { state in state.counts.filter { $0.value != 0 } } }

    /// Does something once for each key. A second call with the key changes nothing and returns what the first one did.
    ///
    /// - Parameters:
    ///   - effect: What happens, as a name for `effects`.
    ///   - key: `StepContext.idempotencyKey`.
    ///   - answer: What the other side answers the first time.
    @discardableResult
    public func perform<Answer: Sendable>(_ effect: String, key: String, answer: Answer = ()) -> Answer {
        state.withLock { state in
            if let known = state.answers["\(effect) \(key)"] as? Answer { return known }
            state.answers["\(effect) \(key)"] = answer
            state.counts[effect, default: 0] += 1
            return answer
        }
    }

    /// Does something each time it is called, as a provider without keys does.
    public func perform(_ effect: String) { state.withLock { $0.counts[effect, default: 0] += 1 } }

    /// Takes an effect back, once for each key.
    public func undo(_ effect: String, key: String) {
        state.withLock { state in
            guard state.undone.insert("\(effect) \(key)").inserted, state.counts[effect, default: 0] > 0 else { return }
            state.counts[effect, default: 0] -= 1
        }
    }

    /// Whether the effect stands: what a probe asks.
    public func stands(_ effect: String) -> Bool { state.withLock { $0.counts[effect, default: 0] > 0 } }
}
