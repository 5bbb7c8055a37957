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
            knew more, run it before the first node starts. Nodes that are alive are ended, and have to be started again, but for those that were \
            started after the loss was noticed: they wait, and go on by themselves. It can be broken off and run again, which marks all \
            open runs once more. If somebody else recovers the store between the question and the \
            answer, nothing more is done. It concerns all namespaces, and is refused to a command that is confined to one.

            Examples:
              recover --restored --dry-run
              recover --restored
              recover --restored --yes

            With --json: an object with store (its address, without a password), recovered, runs (how many were, or would be, marked) and,
            if it was noticed, noticed_at, noticed_by and reason; once it is recovered, recovered_by.
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
        let last = try await client.restoration(), place = store.place(environment)
        let noticed = last.flatMap { $0.recoveredAt == nil ? $0 : nil }
        let runs = try await client.restorableRuns()
        let count = runs == 1 ? "1 open run" : "\(runs) open runs"
        if let noticed, !json {
            environment.print("The history of \(place) went back, as \(noticed.noticedBy) found: \(noticed.reason).")
        }
        if dryRun { return report(noticed, runs, isRecovered: false, "\(count) of \(place) would be marked.", environment) }
        if noticed == nil, !yes { try confirm("Mark \(count) of \(place) all the same? [y/N] ", last, environment) }
        let done = try await client.recoverRestored(by: sender, seen: last)
        let marked = done.markedRuns == 1 ? "1 open run" : "\(done.markedRuns) open runs"
        let somebody = done.recoveredBy.flatMap { $0 == sender ? nil : "Meanwhile \($0) has recovered it. " } ?? ""
        let verb = done.markedRuns == 1 ? "is" : "are"
        report(
            done, done.markedRuns, isRecovered: true,
            "\(somebody)\(marked) of \(place) \(verb) marked; nodes go on, and those that ended can be started.", environment)
    }

    private func confirm(_ question: String, _ last: RestorationInfo?, _ environment: CommandEnvironment) throws {
        var text = "Nobody has noticed that history went back"
        if let last, let by = last.recoveredBy, let at = last.recoveredAt {
            text += " since \(by) recovered it at \(Timestamp(at))"
        }
        guard let ask = environment.ask else {
            throw PerdureError(.usage, "\(text), and there is no terminal to ask on: give --yes if it did.")
        }
        guard ["y", "yes"].contains((ask("\(text). \(question)") ?? "").lowercased()) else {
            environment.print(note: "Nothing was done.", json: json)
            throw CommandStatus.failed
        }
    }

    private func report(
        _ restoration: RestorationInfo?, _ runs: Int, isRecovered: Bool, _ text: String, _ environment: CommandEnvironment
    ) {
        guard json else { return environment.print(text) }
        var object = JSONObject([
            ("store", .string(store.place(environment).description)), ("recovered", .bool(isRecovered)),
            ("runs", JSONValue(runs)),
        ])
        if let restoration {
            object["noticed_at"] = .string(Timestamp(restoration.noticedAt).description)
            object["noticed_by"] = .string(restoration.noticedBy)
            object["reason"] = .string(restoration.reason)
            object["recovered_by"] = restoration.recoveredBy.map { .string($0.description) }
        }
        environment.print(json: .object(object))
    }
}
