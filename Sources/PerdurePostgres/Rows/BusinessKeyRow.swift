internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// A row of `business_keys` with its number.
struct BusinessKeyRow {
    static let columns = """
        business_keys.number, business_keys.generation, business_keys.holder::text, business_keys.subject,
        business_keys.input_digest, business_keys.state, business_keys.output, business_keys.namespace, business_keys.step,
        business_keys.key
        """
    static let columnCount: Int32 = 10

    let number: Int64
    var record: BusinessKeyRecord

    init(number: Int64, record: BusinessKeyRecord) {
        self.number = number
        self.record = record
    }

    init(_ row: Row) throws(BadRow) {
        number = try row.integer(0)
        let key = BusinessKey(namespace: try row.text(7), step: try row.text(8), key: try row.text(9))
        do throws(BadRow) {
            let state = try row.text(5)
            let outcome: BusinessKeyRecord.Outcome
            switch state {
            case "open": outcome = .open
            case "happened": outcome = .happened(output: try row.bytes(6))
            case "free": outcome = .free
            default: throw BadRow("its state '\(state)' is unknown")
            }
            record = BusinessKeyRecord(
                key: key, generation: Int(clamping: try row.integer(1)), holder: try row.runID(2), subject: try row.text(3),
                inputDigest: try row.text(4), outcome: outcome)
        } catch {
            throw BadRow("the business key '\(key.key)' of step '\(key.step)': \(error)")
        }
    }
}
