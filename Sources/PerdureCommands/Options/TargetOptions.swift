internal import ArgumentParser
internal import Foundation
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// One run by its id, or many by what they have in common.
struct TargetOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The run's id.", valueName: "run"), transform: RunArgument.read) var run: RunID?
    @Option(help: "Instead of one run: all of this workflow.") var workflow: String?
    @Option(help: "Instead of one run: all on this version.") var version: String?
    @Option(help: ArgumentHelp("Instead of one run: all in this state; may be given several times.", valueName: "state"))
    var state: [String] = []
    @Option(help: ArgumentHelp("Instead of one run: all with this label; may be given several times.", valueName: "name=value"))
    var label: [LabelArgument] = []
    @Option(help: ArgumentHelp("Instead of one run: all that were started longer ago, such as 90m or 7d.", valueName: "duration"))
    var olderThan: DurationArgument?
    @Flag(help: "Only say which runs are meant, and how many.") var dryRun = false
    @Flag(name: [.short, .long], help: "Do not ask before many runs are acted on.") var yes = false

    private var hasFilter: Bool { workflow != nil || version != nil || !state.isEmpty || !label.isEmpty || olderThan != nil }

    func validate() throws {
        if run != nil, hasFilter { throw ValidationError("Name a run, or say which runs are meant, not both.") }
        if run == nil, !hasFilter {
            throw ValidationError("Name a run, or say which: --workflow, --version, --state, --label, --older-than.")
        }
        if run != nil, dryRun { throw ValidationError("--dry-run is for many runs.") }
    }

    private func selection(_ environment: CommandEnvironment) -> RunSelection {
        RunSelection(
            workflow: workflow, version: version.map { WorkflowVersion($0) }, states: Set(state),
            labels: LabelArgument.dictionary(label),
            startedBefore: olderThan.map { (environment.now() - $0.duration).date })
    }

    /// Acts on the many runs that are meant, after showing how many and asking.
    func intervene(
        _ intervention: Intervention, _ client: Client, json: Bool, by sender: Principal, _ environment: CommandEnvironment
    ) async throws {
        let runs = try await client.runs(for: intervention, in: selection(environment))
        let report = BulkReport(intervention: intervention, runs: runs)
        if dryRun {
            return environment.print(json: json, report.json(results: nil), report.preview)
        }
        guard !runs.isEmpty else { return environment.print(json: json, report.json(results: []), report.preview) }
        if !yes {
            if !json { environment.print(report.preview) }
            guard let ask = environment.ask else {
                throw PerdureError(
                    .usage,
                    "\(runs.count) runs are meant and there is no terminal to ask on: look with --dry-run, then give --yes.")
            }
            let answer = ask(
                "\(intervention.name.capitalized) \(runs.count == 1 ? "this run" : "these \(runs.count) runs")? [y/N] ")
            guard ["y", "yes"].contains((answer ?? "").lowercased()) else {
                environment.print(note: "Nothing was done.", json: json)
                throw CommandStatus.failed
            }
        }
        let results = try await client.intervene(intervention, in: runs, by: sender)
        environment.print(json: json, report.json(results: results), report.summary(results))
        if results.contains(where: { $0.error != nil }) { throw CommandStatus.conflict }
    }
}

extension CommandEnvironment {
    fileprivate func print(json isJSON: Bool, _ json: JSONValue, _ text: String) {
        if isJSON { print(json: json) } else { print(text) }
    }
}

extension TargetOptions {
    /// Does it to the one run that is named, or to the many that are meant.
    ///
    /// - Parameter subject: The beginning of the sentence that says that one run has accepted it.
    func perform(
        _ intervention: Intervention, _ subject: String, store: StoreOptions, receipt: ReceiptOptions, actor: ActorOptions,
        _ environment: CommandEnvironment
    ) async throws {
        let sender = try actor.principal(environment)
        try await store.withClient(environment) { client in
            guard let run else {
                return try await intervene(intervention, client, json: receipt.json, by: sender, environment)
            }
            let info = try await client.run(run)
            if let error = try await client.intervene(intervention, in: [info], by: sender).first?.error { throw error }
            receipt.print("\(subject) \(run) is accepted.", intervention.name, of: run, environment)
        }
    }
}
