internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension Session {
    private static let byNumber = SQL("SELECT \(RunRecord.columns) FROM runs WHERE number = ?1")
    private static let byID = SQL("SELECT \(RunRecord.columns) FROM runs WHERE id = ?1")
    private static let byKey = SQL("SELECT \(RunRecord.columns) FROM runs WHERE namespace = ?1 AND workflow = ?2 AND key = ?3")

    private static let endOfChain = SQL(
        "SELECT \(RunRecord.columns) FROM runs INDEXED BY runs_chains WHERE origin = ?1 AND successor IS NULL")

    /// The last run of the chain that this one began.
    func lastOfChain(begunBy first: RunID) throws -> RunRecord? {
        try self.first(Self.endOfChain, first.description) { try RunRecord($0) }
    }

    func run(_ number: Int64) throws -> RunRecord? { try first(Self.byNumber, number) { try RunRecord($0) } }

    private static let idOf = SQL("SELECT id FROM runs WHERE number = ?1")

    /// The id of a run whose row may be unreadable otherwise.
    func readableID(of number: Int64) throws -> RunID? {
        do throws(any Error) {
            return try first(Self.idOf, number) { RunID(try $0.text(0)) } ?? nil
        } catch is BadRow {
            return nil
        }
    }

    func run(_ id: RunID) throws -> RunRecord? { try first(Self.byID, id.description) { try RunRecord($0) } }

    func run(namespace: String, workflow: String, key: String) throws -> RunRecord? {
        try first(Self.byKey, namespace, workflow, key) { try RunRecord($0) }
    }
}
