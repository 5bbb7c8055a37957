/// A message that a run answers: a signal with a reply. Updates are kept until the run asks for them; a repeated delivery id is taken in
/// once and gets the same reply.
public protocol Update: Sendable {
    associatedtype Payload: Codable & Sendable
    associatedtype Reply: Codable & Sendable
    /// The name that senders use: 1 to 128 bytes of letters, digits, `-`, `_` and `.`.
    static var name: String { get }
}

/// How a run answers an update.
package enum UpdateReply: Sendable {
    case accepted(any Codable & Sendable)
    case rejected(String)
}

extension WorkflowContext {
    /// Waits for the next update of this type that is valid, handles it, and answers its sender. Updates that came earlier are waiting in
    /// order.
    ///
    /// The reply is recorded, and the sender told, when the handler has returned. An update that is not valid, or cannot be read as this
    /// type, is rejected, and the wait goes on. If the handler throws, the sender is told so, and the error is thrown on.
    ///
    /// - Parameters:
    ///   - validate: Decides by the payload and what the workflow knows whether the update is taken; the text of the error is the sender's
    ///     answer. It must not wait for anything and is executed again on replay.
    ///   - handle: May use the context.
    /// - Returns: The reply that was given.
    /// - Throws: What the handler throws; `CancellationError` when the task is cancelled. An update that was taken by then is answered
    ///   all the same, by what its handler returns or throws.
    @discardableResult
    public nonisolated(nonsending) func update<U: Update>(
        _ type: U.Type, validate: (U.Payload) throws -> Void = { _ in }, _ handle: (U.Payload) async throws -> U.Reply
    ) async throws -> U.Reply {
        while true {
            let (id, payload) = try await host.nextUpdate(U.name, isolation: #isolation, as: U.Payload.self)
            do {
                try validate(try payload.get())
            } catch {
                try await answer(id, of: U.name, .rejected("\(error)"))
                continue
            }
            let reply: U.Reply
            do {
                reply = try await handle(try payload.get())
            } catch {
                try await answer(id, of: U.name, .rejected("\(error)"))
                throw error
            }
            try await answer(id, of: U.name, .accepted(reply))
            if !RunTask.ignoresCancellation { try Task.checkCancellation() }
            return reply
        }
    }

    /// Also in a task that was cancelled meanwhile: nobody else can answer, and the sender must not wait for ever.
    private nonisolated(nonsending) func answer(_ id: String, of name: String, _ reply: UpdateReply) async throws {
        try await uncancelled { try await host.reply(reply, to: id, of: name, isolation: nil) }
    }
}
