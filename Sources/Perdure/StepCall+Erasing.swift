// A call loses its types here, before it goes down to the engine. The closures put them back: what was recorded is cast, never
// assumed.

extension StepCall {
    /// A read: it has no intent, no undo and nothing to ask about.
    init<Output: Codable & Sendable>(
        name: String, id: String?, input: some Codable & Sendable, reading policy: StepPolicy,
        _ body: @escaping @concurrent @Sendable (StepContext) async throws -> Output
    ) {
        let erased: Body = { step in try await body(step) }
        self.init(
            name: name, id: id, input: input, outputType: Output.self, effect: .read, policy: policy, businessKey: nil,
            approval: nil, body: erased, probe: nil, undo: nil, irreversible: nil)
    }

    /// A step with a result. The caller adds the undo or the reason why there is none.
    init<Input: Codable & Sendable, Output: Codable & Sendable>(
        name: String, id: String?, key: String?, input: Input, _ effect: Effect<Input, Output>, policy: StepPolicy,
        approval: ApprovalRequirement?, _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output
    ) {
        let erased: Body = { step in try await body(input, step) }
        var probe: Probe?
        if let ask = effect.inDoubt?.probe { probe = { step in try await ask(input, step).map { $0 } } }
        self.init(
            name: name, id: id, input: input, outputType: Output.self, effect: effect.kind, policy: policy, businessKey: key,
            approval: approval, body: erased, probe: probe, undo: nil, irreversible: nil)
    }

    /// A typed step. Its undo gets all it needs from what was recorded.
    package init<S: Step>(_ step: S, id: String? = nil, key: String? = nil, input: S.Input) {
        self.init(
            name: S.name, id: id, key: key, input: input, step.effect, policy: step.policy, approval: step.approval
        ) { input, context in try await step.perform(input, context) }
        undo = UndoCall(of: S.name, step.undoing) { output, context in try await step.undo(output, of: input, context) }
        stepType = Name.normalized(S.name)
    }

    /// A step without a result: `Nothing` is recorded. The caller adds the undo or the reason why there is none.
    init<Input: Codable & Sendable>(
        name: String, id: String?, key: String?, acting input: Input, _ effect: Effect<Input, Void>, policy: StepPolicy,
        approval: ApprovalRequirement?, _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) {
        let erased: Body = { step in
            try await body(input, step)
            return Nothing()
        }
        var probe: Probe?
        if let ask = effect.inDoubt?.probe { probe = { step in try await ask(input, step).map { Nothing() } } }
        self.init(
            name: name, id: id, input: input, outputType: Nothing.self, effect: effect.kind, policy: policy, businessKey: key,
            approval: approval, body: erased, probe: probe, undo: nil, irreversible: nil)
    }
}

extension UndoCall {
    /// An undo that takes the recorded output of the step.
    init<Output: Codable & Sendable>(
        of name: String, _ effect: UndoEffect<Output>,
        _ undo: @escaping @concurrent @Sendable (Output, StepContext) async throws -> Void
    ) {
        let erased: Body = { value, step in try await undo(recorded(value, of: name), step) }
        var probe: Probe?
        if let ask = effect.inDoubt?.probe {
            probe = { value, step in try await ask(recorded(value, of: name), step).map { Nothing() } }
        }
        self.init(isAtMostOnce: effect.inDoubt != nil, body: erased, probe: probe)
    }

    /// An undo of a step without a result: it takes the step's input.
    init<Input: Codable & Sendable>(
        taking input: Input, _ effect: UndoEffect<Input>,
        _ undo: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) {
        let erased: Body = { _, step in try await undo(input, step) }
        var probe: Probe?
        if let ask = effect.inDoubt?.probe { probe = { _, step in try await ask(input, step).map { Nothing() } } }
        self.init(isAtMostOnce: effect.inDoubt != nil, body: erased, probe: probe)
    }
}

func recorded<Output: Codable & Sendable>(_ value: StepCall.Value, of name: String) throws -> Output {
    guard let output = value as? Output else {
        throw PerdureError(
            .historyMismatch, "the recorded output of '\(name)' is a \(type(of: value)), but its undo takes a \(Output.self)")
    }
    return output
}

extension ProbeAnswer {
    func map<Value: Sendable>(_ transform: (Output) -> Value) -> ProbeAnswer<Value> {
        switch self {
        case .happened(let output): .happened(transform(output))
        case .didNotHappen: .didNotHappen
        case .partly(let found): .partly(found)
        case .unknown: .unknown
        }
    }
}
