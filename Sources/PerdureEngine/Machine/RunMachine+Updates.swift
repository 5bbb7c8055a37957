import DequeModule
import PerdureHistory
import PerdureStore

/// The updates of a run that its code has not answered.
struct UpdateQueue {
    struct Item {
        let id: String
        /// The place of its event in the history.
        let seq: Int64
        let payload: [UInt8]
        let origin: MessageOrigin
    }

    /// Received, and not taken by the code.
    var buffer: [String: Deque<Item>] = [:]
    var waits: [String: Deque<OperationID>] = [:]
    /// Which name each wait is for.
    var names: [OperationID: String] = [:]

    /// What an answer says that no code gave.
    static let unheard = "the run has ended, or is being ended"
}

// Updates: messages that the code answers.
extension RunMachine {
    package mutating func requestUpdate(_ name: String) -> OperationID {
        let id = makeID()
        if updates.waits[name, default: []].isEmpty, let item = updates.buffer[name]?.popFirst() {
            answers.append((id, .update(id: item.id, payload: item.payload)))
        } else {
            updates.waits[name, default: []].append(id)
            updates.names[id] = name
        }
        return id
    }

    /// - Parameters:
    ///   - id: The update's delivery id.
    ///   - reply: Canonical JSON, or why there is none.
    package mutating func requestReply(to id: String, of name: String, _ reply: Result<[UInt8], UpdateRejection>) -> OperationID {
        switch reply {
        case .success(let bytes):
            request(
                NoteOperation(kind: .updateCompleted, subject: id, attributes: ["name": .string(name)], output: bytes))
        case .failure(let rejection):
            request(
                NoteOperation(
                    kind: .updateRejected, subject: id,
                    attributes: ["name": .string(name), "message": .string(rejection.message)]))
        }
    }

    mutating func cancelUpdateWait(_ id: OperationID, _ name: String) {
        updates.names[id] = nil
        updates.waits[name]?.removeAll { $0 == id }
        answers.append((id, .cancelled))
    }

    mutating func feedUpdate(_ event: Event) throws {
        let origin = try MessageOrigin(event)
        let item = UpdateQueue.Item(id: origin.id, seq: event.seq, payload: try event.inputBytes(), origin: origin)
        if let id = updates.waits[event.subject]?.popFirst() {
            updates.names[id] = nil
            answers.append((id, .update(id: item.id, payload: item.payload)))
        } else {
            updates.buffer[event.subject, default: []].append(item)
        }
    }

    /// A reply that no code gave: the update came, or was still waiting, when there was none any more.
    mutating func feedReply(_ event: Event) throws {
        let attributes = try event.attributes.object()
        guard attributes.has("unheard") else { return try feedNote(event) }
        let name = attributes["name"]?.stringValue ?? ""
        updates.buffer[name]?.removeAll { $0.id == event.subject }
    }

    /// Whether there is code that could still ask for an update. While the whole run is undone there is none, however long that takes.
    /// After a reset there is some again.
    private var hearsUpdates: Bool { (mayHearMessages || rewinding != nil) && termination == nil && !isUndoingAll }

    func received(_ row: InboxRow) -> EventDraft {
        guard hearsUpdates else { return row.unheardUpdate }
        return EventDraft(
            .updateReceived, subject: row.delivery.name, attributes: row.attributes(),
            input: .inline(row.delivery.payload ?? Array("null".utf8)))
    }

    /// Answers to the updates that no code will take any more, in the order in which they came.
    func unheardUpdates() -> [EventDraft] {
        guard !hearsUpdates else { return [] }
        return updates.buffer.flatMap { name, items in items.map { (name, $0) } }.sorted { $0.1.seq < $1.1.seq }
            .map { name, item in
                EventDraft(
                    .updateRejected, subject: item.id,
                    attributes: ["name": .string(name), "message": .string(UpdateQueue.unheard), "unheard": true])
            }
    }
}

/// Why an update was not accepted.
package struct UpdateRejection: Error, Sendable, Hashable {
    package let message: String
    package init(_ message: String) { self.message = message }
}

extension InboxRow {
    /// The answer to an update that the run's code will not see.
    var unheardUpdate: EventDraft {
        EventDraft(
            .updateRejected, subject: delivery.id,
            attributes: attributes(
                ("name", .string(delivery.name)), ("message", .string(UpdateQueue.unheard)), ("unheard", true)))
    }
}
