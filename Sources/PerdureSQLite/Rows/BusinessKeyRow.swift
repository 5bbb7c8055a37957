internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// A row of `business_keys` with its number.
struct BusinessKeyRow {
    static let columns = """
        business_keys.number, business_keys.generation, business_keys.holder, business_keys.subject, business_keys.input_digest,
        business_keys.state, business_keys.output
        """
    static let columnCount: Int32 = 7

    let number: Int64
    let record: BusinessKeyRecord

    init(_ row: Statement, key: BusinessKey) throws(BadRow) {
        number = try row.integer(0)
        do throws(BadRow) {
            let holderID = try row.text(2)
            guard let holder = RunID(holderID) else { throw BadRow("its holder '\(holderID)' is not a UUID") }
            let state = try row.text(5)
            let outcome: BusinessKeyRecord.Outcome
            switch state {
            case "open": outcome = .open
            case "happened": outcome = .happened(output: try row.bytes(6))
            case "free": outcome = .free
            default: throw BadRow("its state '\(state)' is unknown")
            }
            record = BusinessKeyRecord(
                key: key, generation: Int(clamping: try row.integer(1)), holder: holder, subject: try row.text(3),
                inputDigest: try row.text(4), outcome: outcome)
        } catch {
            throw BadRow("the business key '\(key.key)' of step '\(key.step)': \(error)")
        }
    }
}
