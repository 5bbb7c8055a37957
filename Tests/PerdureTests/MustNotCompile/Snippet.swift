/// Wrong code and what the compiler has to say about it. The first lines of the text are `// expect: MESSAGE`, one for each error.
/// The rest becomes the body of a function with `context` and `vault` in scope.
struct Snippet: Sendable {
    let name: String
    let expected: [String]
    let body: String

    init(_ name: String, _ text: String) {
        let mark = "// expect: "
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        self.name = name
        expected = lines.prefix { $0.hasPrefix(mark) }.map { String($0.dropFirst(mark.count)) }
        body = lines.drop { $0.hasPrefix(mark) }.joined(separator: "\n")
    }

    /// The file that the compiler is given as number `index`.
    func source(_ index: Int) -> String {
        "import Perdure\nfunc snippet\(index)(_ context: WorkflowContext, vault: VaultClient) async throws {\n\(body)\n}\n"
    }

    static let all = missing + results + values + bodies + children

    /// What the snippets use beside the files of `MustCompile`.
    static let prelude = """
        import Perdure
        final class Counter {
            var count = 0
            func issue(_ service: String) async throws -> Key { Key(id: KeyID(raw: service), summary: "") }
        }
        struct Echo: Workflow {
            static let name = "echo"
            static let version: WorkflowVersion = "1"
            func run(_ input: String, _ context: WorkflowContext) async throws -> String { input }
        }
        struct NotCodable: Sendable { var number = 1 }
        struct Ledger: TransactionalStore {
            typealias Connection = Int
            static let name = "ledger"
        }
        func transactional() throws -> TransactionalEffect<Ledger> { throw CancellationError() }
        """
}
