internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension Session {
    private static let byNumber = SQL("SELECT \(RunRecord.columns) FROM perdure.runs WHERE number = $1::bigint")
    private static let byID = SQL("SELECT \(RunRecord.columns) FROM perdure.runs WHERE id = $1::text::uuid")
    private static let byKey = SQL(
        "SELECT \(RunRecord.columns) FROM perdure.runs WHERE namespace = $1::text AND workflow = $2::text AND key = $3::text")
    private static let endOfChain = SQL(
        "SELECT \(RunRecord.columns) FROM perdure.runs WHERE origin = $1::text::uuid AND successor IS NULL")
    private static let idOf = SQL("SELECT id::text FROM perdure.runs WHERE number = $1::bigint")
    private static let headOf = SQL(
        """
        SELECT \(ChainHead.columns) FROM perdure.events AS head WHERE run = $1::bigint ORDER BY seq DESC LIMIT 1
        """)

    private static let namespaceByID = SQL("SELECT namespace FROM perdure.runs WHERE id = $1::text::uuid")
    private static let namespaceByNumber = SQL("SELECT namespace FROM perdure.runs WHERE number = $1::bigint")
    private static let namespaceOfChain = SQL(
        "SELECT namespace FROM perdure.runs WHERE origin = $1::text::uuid AND successor IS NULL")

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

    func run(_ id: RunID) throws -> RunRecord? { try first(Self.byID, id.description) { try RunRecord($0) } }

    func run(namespace: String, workflow: String, key: String) throws -> RunRecord? {
        try first(Self.byKey, namespace, workflow, key) { try RunRecord($0) }
    }

    /// The last run of the chain that this one began.
    func lastOfChain(begunBy first: RunID) throws -> RunRecord? {
        try self.first(Self.endOfChain, first.description) { try RunRecord($0) }
    }

    func head(of run: Int64) throws -> ChainHead? {
        try first(Self.headOf, run) { try ChainHead($0, from: 0, run: run) } ?? nil
    }

    /// The id of a run whose row may be unreadable otherwise.
    func readableID(of number: Int64) throws -> RunID? { try first(Self.idOf, number) { RunID(try $0.text(0)) } ?? nil }
}
