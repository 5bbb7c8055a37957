internal import ArgumentParser
internal import PerdureEngine
internal import PerdureStore

/// `explain`: where a run stands, in sentences.
struct ExplainCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Says in which state a run is, what it waits for, and who can move it.",
        discussion: """
            A run that waits for children is explained by them.

            Example:
              explain 0193a5b0-0000-7000-8000-000000000001

            With --json: an object with run, state, sentences and moves; a move has command (words without the program's name) and
            meaning.
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: RunArgument
    @Flag(help: "Print JSON.") var json = false

    func run(in environment: CommandEnvironment) async throws {
        let (record, explanation, restoration) = try await store.withClient(environment) { client in
            let (record, explanation) = try await client.explain(target.run, now: environment.now())
            return (record, explanation, try await client.restoration())
        }
        if json {
            environment.print(json: RunJSON.explanation(record, explanation))
        } else {
            if let restoration, restoration.recoveredAt == nil {
                environment.print(environment.style.red(HoldText.sentence))
            }
            environment.print(ExplanationText.render(explanation, program: environment.program, style: environment.style))
        }
    }
}
