package import Foundation
package import Logging
package import PerdureEngine
package import PerdureHistory
package import PerdureStore
package import PerdureTesting
package import ServiceLifecycle

/// Everything that a command has from outside: what it prints to, what it reads, who uses it, what time it is. Tests bring their own.
package struct CommandEnvironment: Sendable {
    /// The name under which the program was called, for the commands that texts suggest.
    package var program: String
    /// Standard output. What it throws is what the command ends with.
    package var write: @Sendable (String) throws -> Void
    package var writeError: @Sendable (String) -> Void
    /// Everything on standard input.
    package var readInput: @Sendable () throws -> Data
    /// Asks a question and returns one line; `nil` where no person sits.
    package var ask: (@Sendable (String) -> String?)?
    /// Whether output goes to a terminal.
    package var isTerminal: Bool
    package var variables: [String: String]
    /// The user of the operating system.
    package var user: String
    package var now: @Sendable () -> Timestamp
    /// Opens what `--store` or `PERDURE_STORE` names.
    package var openStore: @Sendable (String) -> StoreConfiguration
    package var workflows: @Sendable () async throws -> [RegisteredWorkflow]
    package var resumability: @Sendable () async throws -> [CrashMatrix] = { [] }
    package var engine: EngineConfiguration
    package var logger: Logger
    /// Runs beside a hosted engine; when one of them returns, the engine shuts down.
    package var companions: [any Service]
    /// Whether `SIGINT` and `SIGTERM` shut down a hosted engine.
    package var handlesSignals: Bool
    let lostOutput = LostOutput()

    package init(
        program: String, user: String, write: @escaping @Sendable (String) throws -> Void,
        writeError: @escaping @Sendable (String) -> Void,
        workflows: @escaping @Sendable () async throws -> [RegisteredWorkflow]
    ) {
        self.program = program
        self.user = user
        self.write = write
        self.writeError = writeError
        self.workflows = workflows
        readInput = { try FileHandle.standardInput.readToEnd() ?? Data() }
        isTerminal = false
        variables = [:]
        now = { Timestamp(Date()) }
        openStore = { StorePlace($0).configuration }
        engine = EngineConfiguration()
        logger = Logger(label: "perdure") { _ in SwiftLogNoOpLogHandler() }
        companions = []
        handlesSignals = false
    }

    /// The environment of this process.
    static func process<App: PerdureApp>(_ app: App.Type) -> CommandEnvironment {
        let program = CommandLine.arguments.first.map { URL(fileURLWithPath: $0).lastPathComponent } ?? "perdure"
        var environment = CommandEnvironment(
            program: program, user: ProcessInfo.processInfo.userName, write: { try Output.put($0, to: STDOUT_FILENO) },
            writeError: { try? Output.put($0, to: STDERR_FILENO) }, workflows: { try await App.workflows })
        environment.variables = ProcessInfo.processInfo.environment
        environment.isTerminal = isatty(STDOUT_FILENO) == 1
        environment.engine = App.configuration
        environment.resumability = { try await App.resumability }
        environment.handlesSignals = true
        environment.logger = Logger(label: "perdure") { StreamLogHandler.standardError(label: $0) }
        if isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 {
            environment.ask = { question in
                try? Output.put(question, to: STDERR_FILENO)
                return readLine()
            }
        }
        return environment
    }

    /// The namespace that commands are confined to where none is named.
    var namespace: String? { variables["PERDURE_NAMESPACE"].flatMap { $0.isEmpty ? nil : $0 } }

    package var style: Style { Style(isOn: isTerminal && (variables["NO_COLOR"] ?? "").isEmpty && variables["TERM"] != "dumb") }

    /// What cannot be printed stops no command in its middle: it is told of at its end.
    func print(_ text: String) {
        do {
            try write(text.hasSuffix("\n") ? text : text + "\n")
        } catch {
            lostOutput.note(error)
        }
    }

    /// The same, with errors that hold no password of a server, whatever words somebody has put it among.
    func concealing(_ arguments: [String]) -> CommandEnvironment {
        var environment = self
        let words = arguments + [variables["PERDURE_STORE"] ?? ""], writeError = writeError
        environment.writeError = { writeError(StorePlace.conceal(words, in: $0)) }
        return environment
    }

    func print(json: JSONValue) { print(json.canonicalText) }

    /// What a person reads and a machine does not: where the output is JSON it goes to standard error.
    func print(note: String, json isJSON: Bool) {
        if isJSON { writeError(note + "\n") } else { print(note) }
    }

    /// - Throws: `CommandStatus.store` if there is anything to tell.
    func tell(ofUnreadable problems: [String]) throws {
        for problem in problems { writeError("\(style.red("error:")) \(problem)\n") }
        if !problems.isEmpty { throw CommandStatus.store }
    }
}
