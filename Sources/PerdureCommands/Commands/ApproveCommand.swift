internal import ArgumentParser
internal import PerdureEngine

/// `approve`: releases a step that waits for a person.
struct ApproveCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve", abstract: "Approves an action after showing exactly what would be executed.",
        discussion: """
            Shows the call as it would be executed and its digest, and asks. The decision holds for this very view: if it changes, the
            decision does not count. Whoever started a run cannot approve its actions.

            Examples:
              approve RUN
              approve RUN switch --yes --digest 3f5a…

            Without a terminal, --yes is needed. --digest refuses the decision if the view is not the one that was looked at before.
            With --json: an object with run, step, view, digest, approver and decision.
            """)

    @OptionGroup var decision: DecisionOptions
    @Option(help: "Why; recorded.") var reason: String?

    func run(in environment: CommandEnvironment) async throws {
        try await decision.decide(approve: true, reason: reason, environment)
    }
}

/// `deny`: refuses a step that waits for a person.
struct DenyCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "deny", abstract: "Denies an action after showing what would be executed.",
        discussion: """
            The workflow gets a definite failure where it waits.

            Example:
              deny RUN switch --reason "not during the freeze"
            """)

    @OptionGroup var decision: DecisionOptions
    @Option(help: "Why; recorded.") var reason: String

    func run(in environment: CommandEnvironment) async throws {
        try await decision.decide(approve: false, reason: reason, environment)
    }
}
