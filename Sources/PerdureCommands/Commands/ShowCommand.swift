internal import ArgumentParser
internal import PerdureEngine
internal import PerdureHistory

/// `show`: a run's history.
struct ShowCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows a run's history as a timeline.",
        discussion: """
            Times count from the run's start; long values are cut. --events shows every event exactly as it is recorded. The histories of
            the run's children follow, each with its own; of very many the first, and how many are left out.

            Example:
              show 0193a5b0-0000-7000-8000-000000000001 --events

            With --json: an object with the members of 'list' and events, an array of objects with seq, at, kind, subject, attributes,
            input, output, hash; and children, an array of such objects, with omitted_children if some are left out.
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: RunArgument
    @Flag(help: "Every event exactly as it is recorded.") var events = false
    @Flag(help: "Without the run's children.") var alone = false
    @Flag(help: "Print JSON.") var json = false

    func run(in environment: CommandEnvironment) async throws {
        let lineage = try await store.withClient(environment) { client in
            try await client.record(target.run).requireHistory()
            return try await client.lineage(of: target.run, depth: alone ? 0 : Lineage.maximumDepth)
        }
        if json {
            environment.print(json: Self.json(lineage))
            return
        }
        let style = environment.style
        let parts = lineage.flattened.enumerated().map { index, part in
            let heading = events && index > 0 ? "\(RunText.headline(part.record, style: style))\n" : ""
            let text =
                events
                ? RawEventText.render(part.events, style: style) : TimelineText.render(part.record, part.events, style: style)
            return heading + text
        }
        environment.print(parts.joined(separator: "\n"))
        if lineage.omittedCount > 0 {
            environment.print("\n\(lineage.omittedCount) more children are not shown. Show each by its id; --events has the ids.")
        }
    }

    private static func json(_ lineage: Lineage) -> JSONValue {
        var object = RunJSON.run(lineage.record).objectValue ?? JSONObject()
        object["events"] = .array(lineage.events.map(RunJSON.event))
        object["children"] = .array(lineage.children.map(json))
        if lineage.omitted > 0 { object["omitted_children"] = .integer(Int64(lineage.omitted)) }
        return .object(object)
    }
}
