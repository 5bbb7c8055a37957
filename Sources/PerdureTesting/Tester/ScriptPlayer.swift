import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import Synchronization

/// Plays a script to one run of a simulation and to those that come of it. It belongs to no node, so that it goes on when one dies.
final class ScriptPlayer: Sendable {
    private struct Message {
        let id: String
        let delay: Duration
        let send: @Sendable (Client, RunID, String) async throws -> Void
    }

    private struct State {
        /// What is left of the scripted outcomes.
        var outcomes: [(step: String, left: Int, outcome: @Sendable () -> AttemptOutcome)] = []
        var messages: [Message] = []
        var run: RunID?
        /// What could not be done, and why.
        var refusals: [String] = []
    }

    private let script: [ScriptedEvent]
    private let simulation: Simulation
    private let client: Client
    private let undone: Set<String>
    private let sendsTwice: Bool
    private let state: Mutex<State>

    /// - Parameter sendsTwice: Whether every message and decision arrives twice.
    init(_ script: [ScriptedEvent], _ simulation: Simulation, _ client: Client, sendsTwice: Bool = false) {
        self.sendsTwice = sendsTwice
        self.script = script
        self.simulation = simulation
        self.client = client
        var state = State(), undone: Set<String> = []
        for (index, event) in script.enumerated() {
            switch event.part {
            case .message(let delay, let send):
                state.messages.append(Message(id: "scripted-\(index + 1)", delay: delay, send: send))
            case .outcome(let step, let times, let outcome): state.outcomes.append((step, times, outcome))
            case .undo(let step): undone.insert(step)
            case .decision, .answer: break
            }
        }
        state.messages = state.messages.enumerated()
            .sorted { ($0.element.delay, $0.offset) < ($1.element.delay, $1.offset) }.map(\.element)
        self.undone = undone
        self.state = Mutex(state)
    }

    /// What the workflow or the store did not take, and why: of use to somebody whose test waits for ever.
    var refusals: [String] { state.withLock { $0.refusals } }

    /// The run that it plays to, once that is known.
    var run: RunID? { state.withLock { $0.run } }

    // MARK: Messages

    /// The run exists: its time begins.
    func begin(_ run: RunID) {
        let isFirst = state.withLock { state in
            defer { state.run = run }
            return state.run == nil
        }
        guard isFirst else { return }
        let delays = state.withLock { $0.messages.map(\.delay) }, begin = simulation.now
        for delay in delays {
            later(at: begin + delay) { [self] in await sendNext() }
        }
    }

    /// Sends the next message now, whatever its time. Each is sent once.
    ///
    /// - Returns: Whether there was one.
    @discardableResult
    func sendNext() async -> Bool {
        let (message, run) = state.withLock { state in
            (state.messages.isEmpty || state.run == nil ? nil : state.messages.removeFirst(), state.run)
        }
        guard let message, let run else { return false }
        await attempt { [client] in try await message.send(client, run, message.id) }
        return true
    }

    // MARK: Decisions and answers

    /// Looks at what was committed for requests that the script answers.
    func note(_ events: [Event], of run: RunID) {
        for event in events {
            for scripted in script {
                switch (event.kind, scripted.part) {
                case (.approvalRequested, .decision(let step, let isApproved, let reason, let delay, let approver))
                where Self.fits(event.subject, step):
                    later(at: simulation.now + delay) { [self] in
                        await decide(run, event.subject, isApproved, reason, approver)
                    }
                case (.questionAsked, .answer(let question, let json, let delay, let sender))
                where Self.fits(event.subject, question):
                    later(at: simulation.now + delay) { [self] in
                        await attempt { [client] in
                            try await client.answer(run, question: event.subject, json: try json(), by: sender)
                        }
                    }
                default: break
                }
            }
        }
    }

    private func decide(_ run: RunID, _ subject: String, _ isApproved: Bool, _ reason: String?, _ approver: Principal) async {
        await attempt { [client] in
            for approval in try await client.pendingApprovals(of: run) where approval.step == subject {
                try await client.decide(approval, approve: isApproved, reason: reason, by: approver)
            }
        }
    }

    // MARK: Outcomes

    /// What the script says of this attempt, in the place of its body.
    func outcome(of attempt: Attempt) -> AttemptOutcome? {
        if attempt.body == .undo {
            let isScripted = undone.contains { Self.fits(attempt.subject, $0) }
            return isScripted ? try? .succeeded(Payload.encode(Nothing(), what: "an undo").bytes) : nil
        }
        let outcome = state.withLock { state -> (@Sendable () -> AttemptOutcome)? in
            guard let index = state.outcomes.firstIndex(where: { $0.left > 0 && Self.fits(attempt.subject, $0.step) }) else {
                return nil
            }
            if state.outcomes[index].left != .max { state.outcomes[index].left -= 1 }
            return state.outcomes[index].outcome
        }
        return outcome?()
    }

    // MARK: Parts

    private static func fits(_ subject: String, _ name: String) -> Bool { subject == name || Name.ofOperation(subject) == name }

    private func later(at time: Timestamp, _ action: @escaping @Sendable () async -> Void) {
        let simulation = simulation
        simulation.spawn {
            let delay = time.duration(since: simulation.now)
            if delay > .zero { try? await simulation.sleep(for: delay) }
            await action()
        }
    }

    /// A refusal is the workflow's business, such as a signal to a run that has ended.
    private func attempt(_ action: () async throws -> Void) async {
        for _ in 0..<(sendsTwice ? 2 : 1) {
            do {
                try await action()
            } catch {
                state.withLock { $0.refusals.append("\(error)") }
            }
        }
    }
}
