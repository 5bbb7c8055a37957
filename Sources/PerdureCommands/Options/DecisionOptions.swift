internal import ArgumentParser
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// What `approve` and `deny` share.
struct DecisionOptions: ParsableArguments {
    @OptionGroup var store: StoreOptions
    @OptionGroup var target: RunArgument
    @Argument(help: "The step, as 'approvals' shows it; may be left out if only one waits.") var step: String?
    @Flag(name: [.short, .long], help: "Do not ask.") var yes = false
    @Option(help: "Decide only if the view has this digest (or one that begins so).") var digest: String?
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var actor: ActorOptions

    func decide(approve: Bool, reason: String?, _ environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment)
        let approval = try await store.withClient(environment) { client -> PendingApproval? in
            let approval = try await find(client)
            if let digest, digest.count < 8 || !approval.digest.hasPrefix(digest.lowercased()) {
                throw PerdureError(
                    .approvalMismatch,
                    "The view of '\(approval.step)' has the digest \(approval.digest), not \(digest); look at the approval again."
                )
            }
            // Whoever is asked has seen it: beside the JSON, if that is what is wanted.
            let view = RequestText.approval(approval, now: environment.now(), style: environment.style)
            if !json || (environment.ask != nil && !yes) { environment.print(note: view, json: json) }
            guard try confirms(approve, approval, environment) else { return nil }
            try await client.decide(approval, approve: approve, reason: reason, by: sender)
            return approval
        }
        guard let approval else {
            environment.print(note: "Nothing was decided.", json: json)
            throw CommandStatus.failed
        }
        if json {
            var object = RunJSON.approval(approval).objectValue ?? JSONObject()
            object["decision"] = .string(approve ? "approved" : "denied")
            environment.print(json: .object(object))
        } else {
            environment.print("'\(approval.step)' is \(approve ? "approved" : "denied") by \(RunExplanation.name(sender)).")
        }
    }

    private func find(_ client: Client) async throws -> PendingApproval {
        let record = try await client.record(target.run)
        let open = try await client.pendingApprovals(of: target.run)
        if let step {
            if let found = open.first(where: { $0.step == step }) { return found }
            guard try await client.view(of: target.run).step(step)?.approval != nil else {
                throw PerdureError(.approvalUnknown, "Run \(target.run) has asked for no approval of '\(step)'.")
            }
            throw PerdureError(.approvalClosed, "The approval of '\(step)' is decided, expired or no longer needed.")
        }
        if open.count == 1 { return open[0] }
        guard open.isEmpty else {
            let steps = open.map { "'\($0.step)'" }.joined(separator: ", ")
            throw PerdureError(.usage, "Several steps of run \(target.run) wait for an approval: \(steps). Name one.")
        }
        if record.state.isFinal {
            throw PerdureError(.runClosed, "Run \(target.run) is closed; nothing of it waits for an approval.")
        }
        throw PerdureError(.approvalUnknown, "Nothing of run \(target.run) waits for an approval now.")
    }

    private func confirms(_ approve: Bool, _ approval: PendingApproval, _ environment: CommandEnvironment) throws -> Bool {
        if yes { return true }
        guard let ask = environment.ask else {
            throw PerdureError(
                .usage, "There is no terminal to ask on: look at the view, then repeat with --yes --digest \(approval.digest).")
        }
        let answer = ask("\(approve ? "Approve" : "Deny") '\(approval.step.shortened(to: 80))'? [y/N] ") ?? ""
        return ["y", "yes"].contains(answer.lowercased())
    }
}
