internal import ArgumentParser
internal import Foundation
internal import PerdureEngine

/// `answer`: an answer to a question that a run asks.
struct AnswerCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "answer", abstract: "Answers a question that a run has asked.",
        discussion: """
            The answer has to be of the type that the workflow expects; one that is not is refused when the run takes it in, and the
            question stays open.

            Example:
              answer RUN which-region --value '"eu-1"'
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: RunArgument
    @Argument(help: "The question's name, as 'approvals' and 'explain' show it.") var question: String
    @Option(help: ArgumentHelp("The answer: JSON, @file or - for standard input.", valueName: "json")) var value: String
    @OptionGroup var receipt: ReceiptOptions
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        let answer = try JSONArgument.read(value, option: "--value", environment)
        let sender = try actor.principal(environment)
        try await store.withClient(environment) { client in
            try await client.answer(target.run, question: question, json: answer, by: sender)
        }
        receipt.print(
            "The answer to '\(question)' is accepted for run \(target.run).", "answer", of: target.run, subject: question,
            environment)
    }
}
