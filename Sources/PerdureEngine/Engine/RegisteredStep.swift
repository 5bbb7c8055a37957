public import Perdure
package import PerdureHistory

/// A typed step with its types erased, as the engine keeps it: what undoing needs where the workflow's code is not.
public struct RegisteredStep: Sendable {
    package let name: String
    package let policy: StepPolicy
    package let undo: StepRequest.Undo
    /// The step as it was called with a recorded input, if that can be read as its input.
    package let call: @Sendable (Payload) throws -> StepCall
    /// Says why bytes cannot be the step's output; nil if they can.
    package let refusesOutput: @Sendable ([UInt8]) -> String?

    /// Takes a step as a value, with what its undo depends on inside.
    public init<S: Step>(_ step: S) {
        name = Name.normalized(S.name)
        policy = step.policy
        undo = step.undoing.isAtMostOnce ? .atMostOnce(hasProbe: step.undoing.hasProbe) : .idempotent
        call = { payload in
            StepCall(step, input: try payload.decode(S.Input.self, what: "the recorded input of step '\(S.name)'"))
        }
        refusesOutput = { bytes in
            do {
                _ = try Payload(bytes: bytes).decode(S.Output.self, what: "the recorded output of step '\(S.name)'")
                return nil
            } catch {
                return "\(error)"
            }
        }
    }
}

/// Collects the typed steps that an engine can undo by itself.
@resultBuilder
public enum StepBuilder {
    public static func buildExpression<S: Step>(_ step: S) -> [RegisteredStep] { [RegisteredStep(step)] }
    public static func buildExpression(_ steps: [RegisteredStep]) -> [RegisteredStep] { steps }
    public static func buildBlock(_ steps: [RegisteredStep]...) -> [RegisteredStep] { steps.flatMap { $0 } }
    public static func buildOptional(_ steps: [RegisteredStep]?) -> [RegisteredStep] { steps ?? [] }
    public static func buildEither(first: [RegisteredStep]) -> [RegisteredStep] { first }
    public static func buildEither(second: [RegisteredStep]) -> [RegisteredStep] { second }
    public static func buildArray(_ steps: [[RegisteredStep]]) -> [RegisteredStep] { steps.flatMap { $0 } }
}

/// The typed steps that a process can undo by itself, by name.
package struct StepRegistry: Sendable {
    private let steps: [String: RegisteredStep]

    /// - Throws: `PerdureError` if a name is invalid, or if one is registered twice.
    package init(_ steps: [RegisteredStep] = []) throws(PerdureError) {
        var known: [String: RegisteredStep] = [:]
        for step in steps {
            guard Name.isOperationName(step.name) else {
                throw PerdureError(
                    .nameInvalid,
                    "'\(step.name)' cannot be a step's name: use 1 to 128 bytes of text without '/', '#', '[', ']' and control characters."
                )
            }
            guard known.updateValue(step, forKey: step.name) == nil else {
                throw PerdureError(
                    .stepDuplicate, "Step '\(step.name)' is registered twice: remove one, or give it a name of its own.")
            }
        }
        self.steps = known
    }

    private init(known: [String: RegisteredStep]) { steps = known }
    static let empty = StepRegistry(known: [:])
    var isEmpty: Bool { steps.isEmpty }

    package subscript(name: String) -> RegisteredStep? { steps[name] }

    /// Why what this step did cannot be undone here; nil if it can.
    func problem(undoing step: RecordedStep) -> String? {
        guard let type = step.type else { return "it is not a step of a type of its own" }
        guard let known = steps[type] else { return "the step '\(type)' is not registered here" }
        do {
            _ = try known.call(Payload(bytes: step.input ?? []))
        } catch {
            return "\(error)"
        }
        return step.output.flatMap(known.refusesOutput)
    }
}

/// What a history says of a step that undoing it needs.
struct RecordedStep: Sendable {
    /// The name of its type, if it is of a type of its own.
    var type: String?
    var input: [UInt8]?
    var output: [UInt8]?
    var generation = 0
    var businessKey: String?

    /// Takes in an event of the step. The first one says most.
    mutating func add(_ event: Event, _ attributes: JSONObject) {
        if case .inline(let bytes)? = event.input {
            input = bytes
            type = attributes["step_type"]?.stringValue
        }
        if case .inline(let bytes)? = event.output, event.kind == .stepSucceeded || event.kind == .stepResolved { output = bytes }
        if let key = attributes["business_key"]?.stringValue { businessKey = key }
        // Where a step is done again, its first event says how often it was done before; a plain one has no intent.
        if event.kind == .stepIntended || event.input != nil { generation = Int(attributes["generation"]?.integerValue ?? 0) }
    }
}
