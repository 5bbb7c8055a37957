internal import ArgumentParser
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

/// `reset`: a run goes on from an earlier point of its history.
struct ResetCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset", abstract: "Lets a run go on from an earlier point of its history.",
        discussion: """
            The run goes on as if its history ended with the event --to, which 'show --events' numbers. Nothing is removed. First everything
            ends that is under way. Of the steps, reads and children that completed since, --completed says what becomes; --adopt, --undo
            and --keep make exceptions:

            adopt  its outcome answers again if the code asks for the same
            undo   it is undone first; what has no undo is adopted, a read runs again
            keep   it stays as it is, and may be done once more

            Examples:
              reset RUN --to 12 --dry-run
              reset RUN --to 12 --completed undo --adopt charge --reason "wrong price list"

            With --dry-run, --json prints an object with run, to, dry_run (true) and completed, whose items have name, event, child, \
            adopted and choice.
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: RunArgument
    @Option(help: ArgumentHelp("The last event that still counts.", valueName: "seq")) var to: Int64
    @Option(help: "What becomes of what completed since: adopt, undo or keep.") var completed: Choice = .adopt
    @Option(help: ArgumentHelp("Adopt this one; may be given several times.", valueName: "step")) var adopt: [String] = []
    @Option(help: ArgumentHelp("Undo this one; may be given several times.", valueName: "step")) var undo: [String] = []
    @Option(help: ArgumentHelp("Keep this one; may be given several times.", valueName: "step")) var keep: [String] = []
    @Option(help: "Why; recorded.") var reason: String?
    @Flag(help: "Only say what would become of what completed since.") var dryRun = false
    @OptionGroup var receipt: ReceiptOptions
    @OptionGroup var actor: ActorOptions

    enum Choice: String, ExpressibleByArgument, CaseIterable {
        case adopt, undo, keep

        var value: ResetChoice {
            switch self {
            case .adopt: .adopt
            case .undo: .undo
            case .keep: .keep
            }
        }
    }

    private var exceptions: [(String, ResetChoice)] {
        adopt.map { ($0, .adopt) } + undo.map { ($0, .undo) } + keep.map { ($0, .keep) }
    }

    func validate() throws {
        let names = exceptions.map(\.0)
        if Set(names).count < names.count { throw ValidationError("Say of each step once what becomes of it.") }
        if to < 1 { throw ValidationError("--to is the number of an event; the first one is 1.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment)
        let exceptions = Dictionary(uniqueKeysWithValues: exceptions)
        try await store.withClient(environment) { client in
            guard dryRun else {
                return try await client.reset(
                    target.run, to: to, completed: completed.value, exceptions: exceptions, reason: reason, by: sender)
            }
            print(
                try await client.resetPreview(target.run, to: to, completed: completed.value, exceptions: exceptions), environment
            )
        }
        if !dryRun {
            receipt.print("The reset of run \(target.run) to event \(to) is accepted.", "reset", of: target.run, environment)
        }
    }

    private func print(_ preview: ResetPreview, _ environment: CommandEnvironment) {
        if receipt.json {
            let steps = preview.completed.map { step -> JSONValue in
                [
                    "name": .string(step.name), "event": .integer(step.event), "child": .bool(step.isChild),
                    "adopted": .bool(step.isAdopted), "choice": .string(step.choice.rawValue),
                ]
            }
            return environment.print(
                json: .members(
                    ("run", .string(target.run.description)), ("to", .integer(to)), ("completed", .array(steps)),
                    ("dry_run", .bool(true))))
        }
        if preview.completed.isEmpty { return environment.print("Nothing completed after event \(to).") }
        for step in preview.completed {
            let since = step.isAdopted ? ", adopted since; stays as it is if it answered again by event \(to)" : ""
            environment.print(
                "\(step.choice.rawValue)  \(step.isChild ? "child " : "")\(step.name)  (event \(step.event)\(since))")
        }
    }
}
