/// What repeating a step would do. A step has no default for this: the author says it, and the engine acts on it after a crash.
public struct Effect<Input: Sendable, Output: Sendable>: Sendable {
    package let kind: EffectKind
    package let inDoubt: InDoubt<Input, Output>?

    /// The other side recognises the step's idempotency key for at least `retention`: inside that time the step is sent again with
    /// the same key and the same input; after it, the step is in doubt.
    public static func idempotent(retention: Retention) -> Effect { Effect(kind: .idempotent(retention), inDoubt: nil) }

    /// Must never be repeated blindly. An intent is committed before each attempt; without an outcome the step is in doubt.
    public static func atMostOnce(inDoubt: InDoubt<Input, Output>) -> Effect { Effect(kind: .atMostOnce, inDoubt: inDoubt) }
}

/// How the engine finds out whether an at-most-once step happened.
public struct InDoubt<Input: Sendable, Output: Sendable>: Sendable {
    package typealias Probe = @concurrent @Sendable (Input, StepContext) async throws -> ProbeAnswer<Output>
    package let probe: Probe?

    /// Asks the other side with a read of its own. An error thrown by the probe counts as `.unknown`: it is asked again with
    /// backoff, and a person after that.
    public static func probe(
        _ probe: @escaping @concurrent @Sendable (Input, StepContext) async throws -> ProbeAnswer<Output>
    ) -> InDoubt { InDoubt(probe: probe) }

    /// Nobody but a person can tell: the step stays in doubt until one does.
    public static var askPerson: InDoubt { InDoubt(probe: nil) }
}

/// What a probe found out.
public enum ProbeAnswer<Output: Sendable>: Sendable {
    /// The effect happened, with this result.
    case happened(Output)
    /// It did not happen. The engine believes this only when it also means "and will not any more".
    case didNotHappen
    /// It happened in part; the text tells a person what was found.
    case partly(String)
    /// The other side cannot say now.
    case unknown
}

/// How an undo may be repeated. The default is what `undo:` promises: safe to repeat, and safe when the thing is already gone.
public struct UndoEffect<Output: Sendable>: Sendable {
    package let inDoubt: InDoubt<Output, Void>?
    package var isAtMostOnce: Bool { inDoubt != nil }
    package var hasProbe: Bool { inDoubt?.probe != nil }

    /// Safe to repeat without limit of time.
    public static var idempotent: UndoEffect { UndoEffect(inDoubt: nil) }
    /// Must never be repeated blindly; treated like an at-most-once step.
    public static func atMostOnce(inDoubt: InDoubt<Output, Void>) -> UndoEffect { UndoEffect(inDoubt: inDoubt) }
}

/// An effect without its types, as the run machine sees it.
package enum EffectKind: Sendable, Hashable {
    case read
    case idempotent(Retention)
    case atMostOnce
    case transactional

    /// The name under which history records it.
    package var name: String {
        switch self {
        case .read: "read"
        case .idempotent: "idempotent"
        case .atMostOnce: "at_most_once"
        case .transactional: "transactional"
        }
    }
}
