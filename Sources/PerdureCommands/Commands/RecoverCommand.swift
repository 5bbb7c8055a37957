internal import ArgumentParser
internal import Foundation
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// `recover --restored`: goes on from a history whose end is lost.
struct RecoverCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "Says in every open run that what followed may be lost, so that nothing is repeated blindly.",
        discussion: """
            For a store that was restored from a backup, and for a replica that took over and was behind. What was committed since is \
            lost, and with it the knowledge of what was sent. Open runs are marked (run.restored): from then on each step that must \
            happen at most once is asked about before it is sent, by its probe or of a person; idempotent steps are sent again with the \
            same key inside of their windows.

            Where nodes have noticed it, nothing is begun until this was run. Where nobody could, because no process was alive that \
            knew more, run it before the first node starts. Nodes that are alive are ended, and have to be started again. It can be broken \
            off and run again. It concerns all namespaces, and is refused to a command that is confined to one.

            Examples:
              recover --restored --dry-run
              recover --restored
              recover --restored --yes

            With --json: an object with recovered, runs (how many were, or would be, marked) and, if it was noticed, noticed_at,
            noticed_by and reason.
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var actor: ActorOptions
    @Flag(help: "The store's history went back.") var restored = false
    @Flag(help: "Only say what was noticed, and how many runs would be marked.") var dryRun = false
    @Flag(name: [.short, .long], help: "Do not ask where nobody has noticed anything.") var yes = false
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard restored else { throw ValidationError("Say what is to be recovered from: --restored.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment)
        let whole = try store.whole(environment, to: "recover the store")
        let client = try await dryRun ? Client(whole) : Client(recovering: whole)
        do {
            try await recover(with: client, by: sender, environment)
            await client.close()
        } catch {
            await client.close()
            throw error
        }
    }

    private func recover(with client: Client, by sender: Principal, _ environment: CommandEnvironment) async throws {
        let last = try await client.restoration()
        let noticed = last.flatMap { $0.recoveredAt == nil ? $0 : nil }
        let runs = try await client.restorableRuns()
        let count = runs == 1 ? "1 open run" : "\(runs) open runs"
        if let noticed, !json {
            environment.print("History went back, as \(noticed.noticedBy) found: \(noticed.reason).")
        }
        if dryRun { return report(noticed, runs, isRecovered: false, "\(count) would be marked.", environment) }
        if noticed == nil, !yes {
            guard let ask = environment.ask else {
                throw PerdureError(
                    .usage, "Nobody has noticed that history went back, and there is no terminal to ask on: give --yes if it did."
                )
            }
            let answer = ask("Nobody has noticed that history went back. Mark \(count) all the same? [y/N] ")
            guard ["y", "yes"].contains((answer ?? "").lowercased()) else {
                environment.print(note: "Nothing was done.", json: json)
                throw CommandStatus.failed
            }
        }
        let done = try await client.recoverRestored(by: sender)
        let marked = done.markedRuns == 1 ? "1 open run is" : "\(done.markedRuns) open runs are"
        report(
            done, done.markedRuns, isRecovered: true, "\(marked) marked; nodes go on, and those that ended can be started.",
            environment)
    }

    private func report(
        _ restoration: RestorationInfo?, _ runs: Int, isRecovered: Bool, _ text: String, _ environment: CommandEnvironment
    ) {
        guard json else { return environment.print(text) }
        var object = JSONObject([("recovered", .bool(isRecovered)), ("runs", JSONValue(runs))])
        if let restoration {
            object["noticed_at"] = .string(Timestamp(restoration.noticedAt).description)
            object["noticed_by"] = .string(restoration.noticedBy)
            object["reason"] = .string(restoration.reason)
        }
        environment.print(json: .object(object))
    }
}
