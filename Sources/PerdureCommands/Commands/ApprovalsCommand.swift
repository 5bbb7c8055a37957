internal import ArgumentParser
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// `approvals`: everything that waits for a person.
struct ApprovalsCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "approvals",
        abstract: "Lists everything that waits for a person: approvals, questions, and runs that are parked.",
        discussion: """
            Example:
              approvals --json

            With --json: an array of objects with kind (approval, question, in_doubt, dead_letter, parked), run, workflow, subject,
            details, approver, digest, expires_at.
            """)

    @OptionGroup var store: StoreOptions
    @Option(help: "At most this many of each.") var limit = 100
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard (1...100_000).contains(limit) else { throw ValidationError("--limit has to be from 1 to 100000.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let items = try await store.withClient(environment) { client in
            let requests = try await client.guarded { try await client.store.openRequests(namespace: nil, limit: limit) }
            let parked = try await client.guarded { try await client.store.runs(RunFilter(states: [.parked], limit: limit)) }
            var items = requests.map(WaitingItem.init)
            for run in parked { items += WaitingItem.parked(run, try await client.view(of: run.id)) }
            return items
        }
        if json {
            environment.print(json: .array(items.map(RunJSON.waiting)))
        } else {
            environment.print(
                RequestText.waiting(items, program: environment.program, now: environment.now(), style: environment.style))
        }
    }
}
