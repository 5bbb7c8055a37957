internal import ArgumentParser
internal import Perdure

/// Which run.
struct RunArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The run's id.", valueName: "run"), transform: Self.read)
    var run: RunID

    static func read(_ text: String) throws -> RunID {
        guard let id = RunID(text) else {
            throw ValidationError("'\(text)' is not a run's id, which is a UUID as 'list' shows it.")
        }
        return id
    }
}
