import Foundation
public import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore

/// Something that comes from outside while a workflow is tested: a message, a person's decision, or the outcome of a step in the place of
/// its body.
///
/// Times count in virtual time. Events about something that never comes about are left over without a word.
public struct ScriptedEvent: Sendable {
    enum Part: Sendable {
        /// With a name of its own, under which it is taken in once however often it is sent.
        case message(Duration, @Sendable (Client, RunID, _ id: String) async throws -> Void)
        case decision(step: String, isApproved: Bool, reason: String?, Duration, Principal)
        case answer(question: String, @Sendable () throws -> Data, Duration, Principal)
        case outcome(step: String, times: Int, @Sendable () -> AttemptOutcome)
        case undo(step: String)
    }

    let part: Part

    /// Who acts in tests unless it says otherwise. It is not the one that starts runs, so it may approve.
    public static let person = Principal(.human, "tester")

    /// Sends a signal so long after the run was started. One that nobody waits for yet is kept, as always.
    public static func signal<S: Signal>(
        _ type: S.Type, _ payload: S.Payload, after delay: Duration = .zero, by sender: Principal = person
    ) -> ScriptedEvent {
        ScriptedEvent(part: .message(delay) { try await $0.signal($1, type, payload, id: $2, by: sender) })
    }

    /// Sends an update so long after the run was started. What the run replies is in its history.
    public static func update<U: Update>(
        _ type: U.Type, _ payload: U.Payload, after delay: Duration = .zero, by sender: Principal = person
    ) -> ScriptedEvent {
        ScriptedEvent(part: .message(delay) { try await $0.send($1, type, payload, id: $2, by: sender) })
    }

    /// Asks the run to end so long after it was started.
    public static func cancel(after delay: Duration, by sender: Principal = person) -> ScriptedEvent {
        ScriptedEvent(part: .message(delay) { client, run, _ in try await client.cancel(run, by: sender) })
    }

    /// Approves every action of this step so long after the approval was asked for.
    ///
    /// - Parameter step: The step's name, or how history names it.
    public static func approve(
        _ step: String, after delay: Duration = .zero, reason: String? = nil, by approver: Principal = person
    ) -> ScriptedEvent {
        ScriptedEvent(part: .decision(step: step, isApproved: true, reason: reason, delay, approver))
    }

    /// Denies every action of this step so long after the approval was asked for.
    public static func deny(
        _ step: String, after delay: Duration = .zero, reason: String? = nil, by approver: Principal = person
    ) -> ScriptedEvent {
        ScriptedEvent(part: .decision(step: step, isApproved: false, reason: reason, delay, approver))
    }

    /// Approves something else than what is shown, so long after the run was started: as whoever was shown another call would.
    package static func approveAnother(_ step: String, after delay: Duration) -> ScriptedEvent {
        ScriptedEvent(
            part: .message(delay) { client, run, id in
                let payload = Array(#"{"isApproved":true,"viewDigest":"00"}"#.utf8)
                let decision = Delivery(to: run, id: id, kind: .decision, name: step, payload: payload, sender: person)
                _ = try await client.guarded { try await client.store.commit([.deliver(decision)]) }
            })
    }

    /// Answers every question of this name so long after it was asked.
    public static func answer(
        _ question: String, with value: some Encodable & Sendable, after delay: Duration = .zero, by sender: Principal = person
    ) -> ScriptedEvent {
        ScriptedEvent(
            part: .answer(
                question: question, { Data(try Payload.encode(value, what: "the answer to '\(question)'").bytes) }, delay, sender)
        )
    }

    /// Has attempts of this step return a value, without its body.
    ///
    /// - Parameter times: How many attempts. Events of one step are used up in their order; then its body runs.
    public static func returns(
        _ step: String, _ value: some Encodable & Sendable = Nothing(), times: Int = .max
    ) -> ScriptedEvent {
        ScriptedEvent(
            part: .outcome(step: step, times: times) {
                do {
                    return .succeeded(try Payload.encode(value, what: "the scripted output of '\(step)'").bytes)
                } catch {
                    return .unrecordable("\(error)")
                }
            })
    }

    /// Has attempts of this step fail with an error, without its body. Whether they are tried again is for the error and the step's policy
    /// to say.
    public static func fails(_ step: String, with error: any Error, times: Int = 1) -> ScriptedEvent {
        ScriptedEvent(part: .outcome(step: step, times: times) { .failed(AttemptFailure(error)) })
    }

    /// Has the step's undo succeed without its body: for steps whose body is replaced as well.
    public static func undoes(_ step: String) -> ScriptedEvent { ScriptedEvent(part: .undo(step: step)) }
}
