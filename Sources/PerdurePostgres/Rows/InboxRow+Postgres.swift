internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension InboxRow {
    /// With the public id of the run: join `runs`.
    static let columns = """
        inbox.number, inbox.run, runs.id::text, inbox.at, inbox.delivery_id, inbox.kind, inbox.name, inbox.payload, inbox.sender
        """

    init(_ row: Row) throws(BadRow) {
        let number = try row.integer(0)
        do throws(BadRow) {
            // One message that cannot be read must not hold up the others: the run refuses it, and its history says so.
            let kind = InboxKind(rawValue: try row.text(5)), sender = Principal(stored: try row.text(8))
            let isReadable = kind != nil && sender != nil
            self.init(
                number: number, run: try row.integer(1), at: try row.time(3),
                delivery: Delivery(
                    to: try row.runID(2), id: try row.text(4), kind: isReadable ? kind ?? .unreadable : .unreadable,
                    name: try row.text(6), payload: try row.optionalBytes(7), sender: sender ?? Principal(.system, "unknown")))
        } catch {
            throw BadRow("inbox row \(number): \(error)")
        }
    }
}

extension KnownDelivery {
    /// A message that was read has left the digest of its payload in the place of that.
    static let column = "CASE WHEN inbox.consumed THEN inbox.payload ELSE sha256(runs.salt || coalesce(inbox.payload, '')) END"
}
