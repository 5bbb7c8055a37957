internal import ArgumentParser
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

/// `fork`: another run that begins where this one was.
struct ForkCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "fork", abstract: "Makes a run that begins where another one was.",
        discussion: """
            The fork begins with a copy of the run's history up to the event --at, which 'show --events' numbers, and goes on by itself.
            The run it comes from is left as it is. What was under way is not copied, and the fork undoes nothing of what it has copied.

            Examples:
              fork RUN --at 12
              fork RUN --at 12 --version 1.4 --key retry-7 --reason "with the mended price list"

            With --json: an object with run, the source, and fork, the run that was made.
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var target: RunArgument
    @Option(help: ArgumentHelp("The last event that counts.", valueName: "seq")) var at: Int64
    @Option(help: "The version of the workflow that goes on with the fork; by default the run's.") var version: String?
    @Option(help: "The workflow key of the fork.") var key: String?
    @Option(help: "Why; recorded.") var reason: String?
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var actor: ActorOptions

    func validate() throws {
        if at < 1 { throw ValidationError("--at is the number of an event; the first one is 1.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment)
        let fork = try await store.withClient(environment) { client in
            try await client.fork(
                target.run, at: at, version: version.map { WorkflowVersion($0) }, key: key, reason: reason, by: sender)
        }
        if json {
            environment.print(json: .members(("run", .string(target.run.description)), ("fork", .string(fork.description))))
        } else {
            environment.print("Run \(fork) goes on from event \(at) of run \(target.run).")
        }
    }
}
