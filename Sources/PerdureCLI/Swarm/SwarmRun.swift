import Foundation
import Perdure

/// Plays a shape. What it returns names every effect that stands, so that whoever counts at the other side can compare.
struct SwarmRun: Workflow {
    static let name = "swarm"
    static let version: WorkflowVersion = "1"
    static let owner = "perdure"

    struct Order: Codable, Sendable { var shape: Shape }

    struct Outcome: Codable, Sendable {
        /// The run's own id, which is also the name of its effect for a parent.
        var run: String
        /// The effects that stand, those of children that were waited for included.
        var done: [String]
    }

    enum Nudge: Signal {
        static let name = "nudge"
        typealias Payload = Int
    }

    /// The code's own failure.
    struct Mishap: Error, Codable { var place: Int }

    let wire: any SwarmWire
    let defence: SwarmDefence?
    var policy = SwarmRun.policy

    func run(_ order: Order, _ context: WorkflowContext) async throws -> Outcome {
        let done = try await play(order.shape, "", context)
        return Outcome(run: context.runID.description, done: done)
    }

    private func play(_ shape: Shape, _ path: String, _ context: WorkflowContext) async throws -> [String] {
        switch shape {
        case .keyed(let number): return [try await keyed(Self.resource(number, path, context), "\(number)\(path)", context)]
        case .once(let number): return [try await once(Self.resource(number, path, context), "\(number)\(path)", context)]
        case .look(let number):
            _ = try await context.read("look", id: "\(number)\(path)", input: number, policy: policy) { number, _ in number }
        case .refused(let number):
            try await context.act(
                "refused", id: "\(number)\(path)", input: number, .idempotent(retention: .forever), policy: policy,
                irreversible: "it never happens"
            ) { _, _ in throw SwarmRefusal() }
        case .stubborn(let number):
            let name = Self.resource(number, path, context) + SwarmLedger.stubborn, id = "\(number)\(path)"
            return [try await stubborn(name, id, knowsKeys: number.isMultiple(of: 2), context)]
        case .approved(let number, let milliseconds):
            let limit = Duration.milliseconds(milliseconds)
            return [try await approved(Self.resource(number, path, context), "\(number)\(path)", within: limit, context)]
        case .shared(let number): try await shared(number, "\(number)\(path)", context)
        case .pause(let number, let milliseconds):
            try await context.sleep(for: .milliseconds(milliseconds), name: "pause", id: "\(number)\(path)")
        case .signal: _ = try await context.signal(Nudge.self)
        case .failure(let number): throw Mishap(place: number)
        case .sequence(let parts):
            var done: [String] = []
            for part in parts { done += try await play(part, path, context) }
            return done
        case .loop(_, let times, let part):
            var done: [String] = []
            for turn in 0..<times { done += try await play(part, "\(path).\(turn)", context) }
            return done
        case .together(_, let parts): return try await together(parts, path, context)
        case .race(let number, let parts): return try await race(number, parts, path, context)
        case .scope(let number, let part): return try await scope("\(number)\(path)", part, path, context)
        case .timeout(let number, let milliseconds, let part):
            return try await timeout("\(number)\(path)", .milliseconds(milliseconds), part, path, context)
        case .child(let number, let part, let isLeft):
            let outcome = try await context.child(
                SwarmRun.self, id: "\(number)\(path)", input: Order(shape: part), policy: isLeft ? .abandon : .cancel
            ) { outcome, step in
                try await wire.undo(outcome.run, key: step.idempotencyKey, until: step.deadline)
            }
            return outcome.done + [outcome.run]
        case .detached(let number, let part):
            try await context.startChild(
                SwarmRun.self, id: "\(number)\(path)", input: Order(shape: part), irreversible: "it goes on by itself")
        }
        return []
    }

    private static func resource(_ number: Int, _ path: String, _ context: WorkflowContext) -> String {
        "\(context.runID):\(number)\(path)"
    }

    /// Everything fast, so that many runs pass: what takes minutes in production takes moments here.
    static let policy = StepPolicy(
        retry: RetryPolicy(initialDelay: .milliseconds(20), maximumDelay: .milliseconds(400)), attemptTimeout: .seconds(2),
        grace: .milliseconds(50))

    // MARK: Steps

    private func keyed(_ resource: String, _ id: String, _ context: WorkflowContext) async throws -> String {
        try await context.step("keyed", id: id, input: resource, .idempotent(retention: .forever), policy: policy) {
            resource, step in
            let key = defence == .keys ? nil : step.idempotencyKey
            return try await wire.effect(on: resource, key: key, until: step.deadline)
        } undo: { resource, step in
            try await wire.undo(resource, key: step.idempotencyKey, until: step.deadline)
        }
    }

    private func once(_ resource: String, _ id: String, _ context: WorkflowContext) async throws -> String {
        let effect: Effect<String, String> =
            defence == .intents
            ? .idempotent(retention: .forever)
            : .atMostOnce(
                inDoubt: .probe { resource, _ in
                    if defence == .probes { return .didNotHappen }
                    return try await wire.hasHappened(resource) ? .happened(resource) : .didNotHappen
                })
        // What the other side knows no keys for it does not take back by a key either.
        let undoing = UndoEffect<String>.atMostOnce(
            inDoubt: .probe { resource, _ in try await wire.isUndone(resource) ? .happened(()) : .didNotHappen })
        return try await context.step("once", id: id, input: resource, effect, policy: policy, undoing: undoing) {
            resource, step in
            try await wire.effect(on: resource, key: nil, until: step.deadline)
        } undo: { resource, step in
            try await wire.undo(resource, key: nil, until: step.deadline)
        }
    }

    private func stubborn(
        _ name: String, _ id: String, knowsKeys: Bool, _ context: WorkflowContext
    ) async throws -> String {
        var policy = policy
        (policy.retry.maximumAttempts, policy.retry.exhaustion) = (2, .park)
        let effect: Effect<String, String> =
            knowsKeys
            ? .idempotent(retention: .forever)
            : .atMostOnce(
                inDoubt: .probe { name, _ in try await wire.hasHappened(name) ? .happened(name) : .didNotHappen })
        return try await context.step("stubborn", id: id, input: name, effect, policy: policy) { name, step in
            try await wire.effect(on: name, key: knowsKeys ? step.idempotencyKey : nil, until: step.deadline)
        } undo: { name, step in
            try await wire.undo(name, key: step.idempotencyKey, until: step.deadline)
        }
    }

    private func approved(
        _ resource: String, _ id: String, within limit: Duration, _ context: WorkflowContext
    ) async throws -> String {
        try await context.step(
            "approved", id: id, input: resource, .idempotent(retention: .forever), policy: policy,
            approval: .required(by: .anyone, within: limit)
        ) { resource, step in
            try await wire.effect(on: resource, key: step.idempotencyKey, until: step.deadline)
        } undo: { resource, step in
            try await wire.undo(resource, key: step.idempotencyKey, until: step.deadline)
        }
    }

    static let sharedKeys = ["first", "second"]

    /// Each time that the key is free again the thing is another one.
    private func shared(_ number: Int, _ id: String, _ context: WorkflowContext) async throws {
        let key = Self.sharedKeys[number % Self.sharedKeys.count]
        _ = try await context.step(
            SwarmLedger.shared, id: id, key: key, input: key, .idempotent(retention: .forever), policy: policy
        ) { key, step in
            try await wire.effect(
                on: SwarmLedger.sharedThing(key) + step.idempotencyKey, key: step.idempotencyKey, until: step.deadline)
        } undo: { name, step in
            try await wire.undo(name, key: step.idempotencyKey, until: step.deadline)
        }
    }

    // MARK: Branches

    private func together(_ parts: [Shape], _ path: String, _ context: WorkflowContext) async throws -> [String] {
        try await withThrowingTaskGroup(of: [String].self) { group in
            for part in parts { group.addTask { try await play(part, path, context) } }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }

    /// Each in a scope of its own, so that one that is given up takes back what it has done. One that is done before it hears of that
    /// stays done.
    private func race(_ number: Int, _ parts: [Shape], _ path: String, _ context: WorkflowContext) async throws -> [String] {
        try await withThrowingTaskGroup(of: [String].self) { group in
            for (index, part) in parts.enumerated() {
                group.addTask {
                    try await context.scope("branch", id: "\(number)-\(index)\(path)") { try await play(part, path, context) }
                }
            }
            defer { group.cancelAll() }
            var done = try await group.next() ?? []
            group.cancelAll()
            while let other = await group.nextResult() {
                if case .success(let more) = other { done += more }
            }
            return done
        }
    }

    private func scope(_ id: String, _ part: Shape, _ path: String, _ context: WorkflowContext) async throws -> [String] {
        do {
            return try await context.scope("scope", id: id) { try await play(part, path, context) }
        } catch let error as CancellationError {
            throw error
        } catch {
            return []
        }
    }

    private func timeout(
        _ id: String, _ limit: Duration, _ part: Shape, _ path: String, _ context: WorkflowContext
    ) async throws -> [String] {
        do {
            return try await context.timeout(limit, id: id) {
                try await context.scope("hasty", id: id) {
                    let done = try await play(part, path, context)
                    // A part that has caught its failure does not say that the time is over. Nobody takes the result any more, so
                    // nothing of it may stand.
                    try Task.checkCancellation()
                    return done
                }
            }
        } catch let failure as StepFailure where failure.code == StepFailure.timedOut {
            return []
        }
    }
}

/// What can be taken out, to see that the swarm notices.
enum SwarmDefence: String, Codable, CaseIterable, Sendable {
    /// Idempotency keys reach the other side.
    case keys
    /// What must not be repeated is declared as such.
    case intents
    /// Whoever asks the other side believes what it says.
    case probes
    /// What may be lost is put in doubt before anybody goes on.
    case recover
}

/// The other side says that it has not done it, and that it may be asked again.
struct SwarmDelay: ClassifiedError, Codable {
    var isDefinite: Bool { true }
}

/// The other side says no, for good.
struct SwarmRefusal: ClassifiedError, Codable {
    var isDefinite: Bool { true }
    var isRetryable: Bool { false }
}
