internal import ArgumentParser
internal import Perdure
internal import PerdureHistory

/// How a command says that its message is accepted.
struct ReceiptOptions: ParsableArguments {
    @Flag(help: "Print JSON: run, accepted (the command), subject.") var json = false

    /// - Parameters:
    ///   - command: What was accepted, as the command is called.
    ///   - subject: The signal, question or step that it speaks of.
    func print(
        _ sentence: String, _ command: String, of run: RunID, subject: String? = nil, _ environment: CommandEnvironment
    ) {
        guard json else { return environment.print(sentence) }
        environment.print(
            json: .members(
                ("run", .string(run.description)), ("accepted", .string(command)), ("subject", subject.map(JSONValue.string))))
    }
}
