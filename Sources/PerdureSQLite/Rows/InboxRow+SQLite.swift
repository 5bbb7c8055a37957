internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension InboxRow {
    /// With the public id of the run: join `runs`.
    static let columns =
        "inbox.number, inbox.run, runs.id, inbox.at, inbox.delivery_id, inbox.kind, inbox.name, inbox.payload, inbox.sender"

    init(_ row: Statement) throws(BadRow) {
        let number = try row.integer(0)
        do throws(BadRow) {
            let id = try row.text(2)
            guard let runID = RunID(id) else { throw BadRow("the id '\(id)' of its run is not a UUID") }
            // One message that cannot be read must not hold up the others: the run refuses it, and its history says so.
            let kind = (try? row.text(5)).flatMap(InboxKind.init(rawValue:))
            let sender = (try? row.text(8)).flatMap(Principal.init(stored:))
            let at = try? row.integer(3), delivery = try? row.text(4), name = try? row.text(6)
            var payload: [UInt8]?, isReadable = kind != nil && sender != nil && at != nil && delivery != nil && name != nil
            do { payload = try row.optionalBytes(7) } catch { isReadable = false }
            self.init(
                number: number, run: try row.integer(1), at: Timestamp(microseconds: at ?? 0),
                delivery: Delivery(
                    to: runID, id: delivery ?? "unreadable", kind: isReadable ? kind ?? .unreadable : .unreadable,
                    name: name ?? "", payload: payload, sender: sender ?? Principal(.system, "unknown")))
        } catch {
            throw BadRow("inbox row \(number): \(error)")
        }
    }
}
