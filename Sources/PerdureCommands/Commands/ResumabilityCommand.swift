internal import ArgumentParser
internal import Foundation
internal import Perdure
internal import PerdureEngine
internal import PerdureStore
internal import PerdureTesting

/// `resumability`: whether this executable's workflows survive being interrupted anywhere, and what of them cannot unaided.
struct ResumabilityCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "resumability",
        abstract: "Interrupts the workflows of this executable at every checkpoint, before it is deployed.",
        discussion: """
            Runs each workflow that the executable gives to be tried, once undisturbed, and then once for each of its checkpoints and \
            each kind of interruption: in memory, in virtual time, against the other side that the executable gives for it. \
            docs/testing.md says what is tried and what has to hold.

            Then it takes inventory: which of the executable's workflows and steps cannot get through an interruption unaided, and why. \
            Steps are known only of runs that have reached them: those that were tried, and with --store or --histories those that are \
            recorded. No store is written to. --inventory tries nothing.

            Examples:
              resumability
              resumability rotate-secrets --markdown > resumability.md
              resumability --inventory --store production.db --strict

            The exit status is 1 if a workflow does not survive, if it has steps that may have to wait for a person's word and no \
            owner, so that its runs would be blocked, or if a recorded run cannot be read; with --strict for any other finding too. \
            With --json: an object with reports (workflow, version, end, effects, checkpoints (number, is_commit, what), trials \
            (interruption, checkpoint, end, deaths, takeovers, repeated_attempts, decisions, violations, history), warnings, \
            sightings, and error for a workflow that does not come to its end undisturbed), inventory (entries with workflow, \
            version, owner, is_registered, is_tried, runs, steps, findings) and problems.
            """)

    @Argument(help: "Workflows, by their names. Default: all.") var workflows: [String] = []
    @Flag(help: "Try nothing; take inventory only.") var inventory = false
    @Flag(help: "Fail for everything that the inventory finds.") var strict = false
    @Option(
        help: ArgumentHelp(
            "Take the steps of this store's runs into the inventory: a file, or the postgres:// URL of a database.",
            valueName: "path|url"))
    var store: String?
    @Option(
        help: ArgumentHelp(
            "Of the store only the runs of this namespace. Default: $PERDURE_NAMESPACE, or all.", valueName: "name"))
    var namespace: String?
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Take the steps of exported histories into the inventory.", valueName: "file"))
    var histories: [String] = []
    @Flag(help: "Print the whole reports, as Markdown.") var markdown = false
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        if json, markdown { throw ValidationError("Give either --json or --markdown.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let registered = try await environment.workflows()
        let matrices = inventory ? [] : try await matrices(environment)
        try requireKnown(Set(inventory ? registered.map(\.name) : matrices.map(\.workflow)))
        var reports: [ResumabilityReport] = [], isGood = true, objects: [String] = []
        for matrix in matrices where isMeant(matrix.workflow) {
            do {
                let report = try await matrix.run()
                reports.append(report)
                isGood = isGood && report.isResumable
                if json {
                    objects.append(String(decoding: try report.json, as: UTF8.self))
                } else {
                    environment.print(markdown ? report.markdown : ResumabilityText.render(report, environment.style))
                }
            } catch let failure as TestFailure {
                isGood = false
                if json {
                    let object = ["workflow": matrix.workflow, "version": matrix.version, "error": failure.description]
                    objects.append(String(decoding: try JSONEncoder().encode(object), as: UTF8.self))
                } else {
                    environment.print("\(environment.style.red("✗")) \(failure.description)")
                }
            }
        }
        let (recorded, problems) = try await recorded(environment)
        let inventory = WorkflowInventory(
            registered.filter { isMeant($0.name) }, tried: reports.flatMap(\.sightings).filter { isMeant($0.workflow) },
            recorded: recorded.filter { isMeant($0.workflow) })
        if json {
            let text = String(decoding: try inventory.json, as: UTF8.self)
            let list = String(decoding: try JSONEncoder().encode(problems), as: UTF8.self)
            environment.print(
                "{\"inventory\": \(text),\n\"problems\": \(list),\n\"reports\": [" + objects.joined(separator: ",\n") + "]}")
        } else {
            environment.print(markdown ? inventory.markdown : ResumabilityText.render(inventory, environment.style))
            for problem in problems { environment.print(problem) }
        }
        let hasFindings = strict ? !inventory.isClean : inventory.stopsRuns
        if !isGood || hasFindings || !problems.isEmpty { throw CommandStatus.failed }
    }

    private func isMeant(_ workflow: String) -> Bool { workflows.isEmpty || workflows.contains(workflow) }

    private func matrices(_ environment: CommandEnvironment) async throws -> [CrashMatrix] {
        let matrices = try await environment.resumability()
        if matrices.isEmpty {
            throw PerdureError(
                .usage,
                "This executable gives nothing to be tried: let its PerdureApp have a 'resumability', as docs/testing.md says. "
                    + "--inventory does without.")
        }
        return matrices
    }

    private func requireKnown(_ known: Set<String>) throws {
        guard let unknown = workflows.first(where: { !known.contains($0) }) else { return }
        let list = "There is: " + (known.isEmpty ? "nothing" : known.sorted().joined(separator: ", ")) + "."
        throw PerdureError(
            .workflowUnknown,
            inventory
                ? "There is no workflow '\(unknown)' here. \(list)"
                : "Nothing is given to try '\(unknown)' with: add it to 'resumability' of this executable's PerdureApp. \(list)")
    }

    /// What real runs tell of steps.
    private func recorded(
        _ environment: CommandEnvironment
    ) async throws -> (sightings: [WorkflowInventory.Sighting], problems: [String]) {
        var survey = WorkflowInventory.Survey(), problems: [String] = []
        for path in histories {
            var file = try HistoryFile(path)
            while let run = try file.next() {
                if run.record.tombstone != nil { continue }
                if let broken = run.broken { problems.append("Run \(run.record.id) was exported in part: \(broken)") }
                survey.add(run.events, workflow: run.record.workflow, version: run.record.version)
            }
        }
        guard let store else { return (survey.sightings, problems) }
        let client = try await Client(environment.openStore(store), namespace: namespace ?? environment.namespace)
        do {
            let found = try await client.workflowSightings()
            await client.close()
            return (survey.sightings + found.sightings, problems + found.problems)
        } catch {
            await client.close()
            throw error
        }
    }
}
