internal import ArgumentParser
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// `approvals`: what only a person can move.
struct ApprovalsCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "approvals",
        abstract: "Lists approvals, questions, and runs that only a person can move.",
        discussion: """
            A step in doubt of a run that can still move by itself is shown by 'explain'. Runs that cannot be read are named on
            standard error, the others are listed all the same, and the exit status is 5.

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
        let (items, problems) = try await store.withClient(environment) { client in
            let approvals = try await client.openRequests(RequestQuery(kind: .approvalRequested, limit: limit))
            let questions = try await client.openRequests(RequestQuery(kind: .questionAsked, limit: limit))
            let requests = (approvals + questions).sorted { $0.number < $1.number }
            let (parked, problems) = try await client.readable(RunFilter(states: [.parked], limit: limit))
            var items = requests.map(WaitingItem.init)
            for run in parked {
                do {
                    items += WaitingItem.parked(run, try await client.view(of: run.id))
                } catch let error as PerdureError where error.isAboutOneHistory {
                    items.append(WaitingItem.unreadable(run, error.message))
                }
            }
            return (items, problems)
        }
        if json {
            environment.print(json: .array(items.map(RunJSON.waiting)))
        } else {
            environment.print(
                RequestText.waiting(items, program: environment.program, now: environment.now(), style: environment.style))
        }
        try environment.tell(ofUnreadable: problems)
    }
}
