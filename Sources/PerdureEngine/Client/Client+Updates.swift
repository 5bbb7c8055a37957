public import Foundation
public import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

extension Client {
    /// Sends an update and waits for its reply.
    ///
    /// - Parameters:
    ///   - id: Names this update: sent again under the same id it is not taken in again and gets the same reply, also after the run has
    ///     closed. Without one, every call is an update of its own, and one that was interrupted cannot be asked for again.
    /// - Throws: `PerdureError` with `update_rejected` (its message is what the workflow says), `run_unknown`, `run_closed` (the run has
    ///   ended without an answer), `run_quarantined` (its history is broken, so that nobody will answer), `value_not_encodable`,
    ///   `payload_too_large`, `name_invalid`, `engine_stopped`. Cancelling the task ends the wait; the update stays.
    public func update<U: Update>(
        _ run: RunID, _ type: U.Type, _ payload: U.Payload, id: String? = nil, by sender: Principal
    ) async throws -> U.Reply {
        do {
            let bytes = try Payload.encode(payload, what: "the payload of update '\(U.name)'").bytes
            let reply = try await update(run, name: U.name, payload: bytes, namedBy: id, by: sender)
            return try Payload(bytes: reply).decode(U.Reply.self, what: "the reply to update '\(U.name)'")
        } catch let error as PayloadError {
            throw PerdureError(error)
        }
    }

    /// Sends an update whose payload is given as JSON, and returns its reply as JSON. Otherwise as the other `update`.
    ///
    /// - Throws: What that throws, and `PerdureError` with `input_undecodable` if the payload is not JSON.
    public func update(_ run: RunID, name: String, json: Data, id: String? = nil, by sender: Principal) async throws -> Data {
        do {
            let payload = try JSONValue.parse(Array(json), what: "the payload of update '\(name)'").canonicalBytes
            return Data(try await update(run, name: name, payload: payload, namedBy: id, by: sender))
        } catch let error as PayloadError {
            throw PerdureError(error)
        }
    }

    /// Sends an update and does not wait for its reply. It is taken in once under this id.
    ///
    /// - Throws: `PerdureError` with `run_unknown`, `run_closed`, `name_invalid` (the id), `value_not_encodable` or `payload_too_large`.
    package func send<U: Update>(
        _ run: RunID, _ type: U.Type, _ payload: U.Payload, id: String, by sender: Principal
    ) async throws {
        let bytes: Payload
        do {
            bytes = try Payload.encode(payload, what: "the payload of update '\(U.name)'")
        } catch {
            throw PerdureError(error)
        }
        try await send(try await latest(of: run), .update, name: U.name, payload: bytes.bytes, id: id, by: sender)
    }

    /// Sends an update as JSON and does not wait for its reply, which `update` with the same id gets.
    ///
    /// - Throws: As `send`.
    package func send(_ run: RunID, update name: String, json: Data, id: String, by sender: Principal) async throws {
        guard Name.isIdentifier(name) else {
            throw PerdureError(.nameInvalid, "An update needs a name of 1 to 128 letters, digits, '-', '_' and '.'.")
        }
        let payload = try canonical(json, what: "the payload of update '\(name)'")
        if try await earlierReply(to: name, payload, id, from: run) != nil { return }
        try await send(try await latest(of: run), .update, name: name, payload: payload, id: id, by: sender)
    }

    private func update(
        _ run: RunID, name: String, payload: [UInt8], namedBy id: String?, by sender: Principal
    ) async throws -> [UInt8] {
        guard Name.isIdentifier(name), id.map(Name.isKey) ?? true else {
            throw PerdureError(
                .nameInvalid,
                "An update needs a name of 1 to 128 letters, digits, '-', '_' and '.', and an id without control characters.")
        }
        if let id, let reply = try await earlierReply(to: name, payload, id, from: run) { return try reply.get() }
        let id = id ?? uniqueName()
        var target = run
        while true {
            // What was not answered before a run was continued is asked of the next one.
            target = try await latest(of: target)
            do {
                return try await update(target, name: name, payload: payload, id: id, by: sender)
            } catch let error as PerdureError where error.code == .runClosed {
                if try await latest(of: target) == target { throw error }
            }
        }
    }

    /// The reply that the run, or one that continues it, has given to this update before. What was not answered is carried on under its id.
    ///
    /// - Throws: `PerdureError` with `message_conflict` if another one was sent under its id.
    private func earlierReply(
        to name: String, _ payload: [UInt8], _ id: String, from run: RunID
    ) async throws -> Result<[UInt8], PerdureError>? {
        var record = try await record(run)
        while let successor = record.successor {
            if try await wasSent(id, .update, name, [payload], to: record.id) {
                let delivery = Delivery(
                    to: record.id, id: Self.deliveryID(.update, name, id), kind: .update, name: name,
                    sender: Principal(.system, ""))
                if let reply = try await reply(to: delivery, in: record) { return reply }
            }
            record = try await self.record(successor)
        }
        return nil
    }

    private func update(
        _ run: RunID, name: String, payload: [UInt8], id: String, by sender: Principal
    ) async throws -> [UInt8] {
        let delivery = Delivery(
            to: run, id: Self.deliveryID(.update, name, id), kind: .update, name: name, payload: payload,
            sender: sender)
        do {
            try await send(delivery)
        } catch let error as PerdureError where error.code == .runClosed {
            // It may be the same update again, and have its reply.
            guard let reply = try await reply(to: delivery, in: try await record(run)) else { throw error }
            return try reply.get()
        }
        let closed = PerdureError(
            .runClosed, "Run \(run) has ended without answering update '\(name)'.", metadata: [("run", run.description)])
        return try await reply(to: delivery, orThrow: closed).get()
    }

    private func reply(to delivery: Delivery, orThrow closed: PerdureError) async throws -> Result<[UInt8], PerdureError> {
        let found = FoundReply()
        try await wait(for: delivery) { client in
            // In this order: a run that closes in between has answered before.
            let record = try await client.record(delivery.run)
            if let reply = try await client.reply(to: delivery, in: record) {
                found.set(reply)
                return true
            }
            guard record.state.endsWaits else { return false }
            found.set(.failure(record.quarantine ?? closed))
            return true
        }
        return found.value ?? .failure(closed)
    }

    private func reply(to delivery: Delivery, in record: RunRecord) async throws -> Result<[UInt8], PerdureError>? {
        for kind in EventKind.replies {
            let events = try await guarded { try await store.marked(kind, delivery.id, in: record.number) }
            guard let event = events.last else { continue }
            if kind == .updateCompleted {
                guard case .inline(let bytes)? = event.output else {
                    throw PerdureError(
                        .storeCorrupt, "The reply of run \(delivery.run) to update '\(delivery.name)' cannot be read.")
                }
                return .success(bytes)
            }
            let message = (try? event.attributes.object())?["message"]?.stringValue ?? "it was rejected"
            return .failure(PerdureError(.updateRejected, message, metadata: [("run", delivery.run.description)]))
        }
        return nil
    }

    /// Returns when the condition holds: asked when the wait has begun, and when the run has answered this update or is over.
    private func wait(for delivery: Delivery, until condition: @escaping @Sendable (Client) async throws -> Bool) async throws {
        guard let waiters else { return try await wait { try await condition($0) } }
        repeat {
            try Task.checkCancellation()
            let isOpen = await waiters.wait(for: delivery.run, update: delivery.id) { (try? await condition(self)) ?? true }
            if !isOpen { throw PerdureError(.engineStopped, "The engine has stopped; ask again when the store is open.") }
        } while try await !condition(self)
    }
}

private final class FoundReply: Sendable {
    private let state = Mutex<Result<[UInt8], PerdureError>?>(nil)
    var value: Result<[UInt8], PerdureError>? { state.withLock { $0 } }
    func set(_ value: Result<[UInt8], PerdureError>) { state.withLock { $0 = value } }
}
