internal import ArgumentParser
internal import PerdureEngine
internal import PerdureHistory

/// `show`: a run's history.
struct ShowCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows a run's history as a timeline.",
        discussion: """
            Times count from the run's start; long values are cut. --events shows every event exactly as it is recorded.

            Example:
              show 0193a5b0-0000-7000-8000-000000000001 --events

            With --json: an object with the members of 'list' and events, an array of objects with seq, at, kind, subject, attributes,
            input, output, hash.
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: RunArgument
    @Flag(help: "Every event exactly as it is recorded.") var events = false
    @Flag(help: "Print JSON.") var json = false

    func run(in environment: CommandEnvironment) async throws {
        let (record, history) = try await store.withClient(environment) { client in
            let record = try await client.record(target.run)
            try record.requireHistory()
            return (record, try await client.history(of: target.run))
        }
        if json {
            var object = RunJSON.run(record).objectValue ?? JSONObject()
            object["events"] = .array(history.map(RunJSON.event))
            environment.print(json: .object(object))
        } else if events {
            environment.print(RawEventText.render(history, style: environment.style))
        } else {
            environment.print(TimelineText.render(record, history, style: environment.style))
        }
    }
}
