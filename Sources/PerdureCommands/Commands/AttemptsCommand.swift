internal import ArgumentParser
internal import PerdureEngine
internal import PerdureHistory

/// `attempts`: how many runs came through without a failed attempt.
struct AttemptsCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "attempts",
        abstract: "Says how many runs of each workflow came through without a failed attempt.",
        discussion: """
            Counts the runs that have closed, in whatever way, and reads the history of each. An attempt has failed if the body of a step \
            or undo threw or did not come to its end in time, whatever followed; a run that was interrupted and went on has no failed \
            attempt for that. Attempts that the engine could not make or record, as when its store could not be reached, are counted \
            apart. Runs whose histories were removed are told apart too.

            Examples:
              attempts
              attempts --workflow ship-order --within 7d
              attempts --json

            With --json: an object with workflows (workflow, closed, at_first_attempt, rate, failed_attempts, failed_by_engine, unread)
            and store_problems: what stands in the place of runs whose rows cannot be read.
            """)

    @OptionGroup var store: StoreOptions
    @Option(help: "Only runs of this workflow.") var workflow: String?
    @Option(help: ArgumentHelp("Only runs that have closed within this time, such as 90m or 7d.", valueName: "duration"))
    var within: DurationArgument?
    @Flag(help: "Print JSON.") var json = false

    func run(in environment: CommandEnvironment) async throws {
        let since = within.map { (environment.now() - $0.duration).date }
        let (reports, problems) = try await store.withClient(environment) { client in
            try await client.attempts(of: workflow, since: since)
        }
        if json {
            environment.print(
                json: .members(
                    ("workflows", .array(reports.map(RunJSON.attempts))),
                    ("store_problems", .array(problems.map(JSONValue.string)))))
        } else {
            environment.print(AttemptsText.render(reports, problems: problems, style: environment.style))
        }
        if !problems.isEmpty { throw CommandStatus.failed }
    }
}
