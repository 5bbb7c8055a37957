internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension Session {
    private static let byNumber = SQL("SELECT \(RunRecord.columns) FROM runs WHERE number = ?1")
    private static let byID = SQL("SELECT \(RunRecord.columns) FROM runs WHERE id = ?1")
    private static let byKey = SQL("SELECT \(RunRecord.columns) FROM runs WHERE namespace = ?1 AND workflow = ?2 AND key = ?3")

    private static let endOfChain = SQL(
        "SELECT \(RunRecord.columns) FROM runs INDEXED BY runs_chains WHERE origin = ?1 AND successor IS NULL AND (?2 IS NULL OR namespace = ?2)"
    )

    /// The last run of the chain that this one began.
    ///
    /// - Parameter namespace: Whose it has to be. One of another namespace is not even read.
    func lastOfChain(begunBy first: RunID, within namespace: String? = nil) throws -> RunRecord? {
        try self.first(Self.endOfChain, first.description, namespace) { try RunRecord($0) }
    }

    private static let namespaceByID = SQL("SELECT namespace FROM runs WHERE id = ?1")
    private static let namespaceByNumber = SQL("SELECT namespace FROM runs WHERE number = ?1")
    private static let namespaceOfChain = SQL(
        "SELECT namespace FROM runs INDEXED BY runs_chains WHERE origin = ?1 AND successor IS NULL")

    /// Whatever else of the row cannot be read.
    func namespace(of run: RunSearch) throws -> String? {
        do throws(any Error) {
            return switch run {
            case .id(let id): try first(Self.namespaceByID, id.description) { try $0.text(0) }
            case .number(let number): try first(Self.namespaceByNumber, number) { try $0.text(0) }
            case .endOfChain(let begun): try first(Self.namespaceOfChain, begun.description) { try $0.text(0) }
            }
        } catch is BadRow {
            return nil
        }
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
