internal import ArgumentParser
internal import Foundation
internal import Perdure
internal import PerdureTesting

/// `resumability`: whether this executable's workflows survive being interrupted anywhere.
struct ResumabilityCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "resumability",
        abstract: "Interrupts the workflows of this executable at every checkpoint, before it is deployed.",
        discussion: """
            Runs each workflow that the executable gives to be tried, once undisturbed, and then once for each of its checkpoints and \
            each kind of interruption: in memory, in virtual time, against the other side that the executable gives for it. No store \
            is touched. docs/testing.md says what is tried and what has to hold.

            Examples:
              resumability
              resumability rotate-secrets --markdown > resumability.md

            The exit status is 1 if a workflow does not survive. With --json: a list of objects with workflow, version, end, effects,
            checkpoints (number, is_commit, what), trials (interruption, checkpoint, end, deaths, takeovers, repeated_attempts, decisions,
            violations, history), warnings, and error for a workflow that does not come to its end undisturbed.
            """)

    @Argument(help: "Workflows, by their names. Default: all that the executable gives to be tried.") var workflows: [String] = []
    @Flag(help: "Print the whole reports, as Markdown.") var markdown = false
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        if json, markdown { throw ValidationError("Give either --json or --markdown.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let matrices = try await environment.resumability()
        let known = Set(matrices.map(\.workflow))
        if let unknown = workflows.first(where: { !known.contains($0) }) {
            throw PerdureError(
                .workflowUnknown,
                "Nothing is given to try '\(unknown)' with: add it to 'resumability' of this executable's PerdureApp. There is: "
                    + (known.isEmpty ? "nothing" : known.sorted().joined(separator: ", ")) + ".")
        }
        guard !matrices.isEmpty else {
            throw PerdureError(
                .usage,
                "This executable gives nothing to be tried: let its PerdureApp have a 'resumability', as docs/testing.md says.")
        }
        var isGood = true, objects: [String] = []
        for matrix in matrices where workflows.isEmpty || workflows.contains(matrix.workflow) {
            do {
                let report = try await matrix.run()
                isGood = isGood && report.isResumable
                if json {
                    objects.append(String(decoding: try report.json, as: UTF8.self))
                } else {
                    environment.print(markdown ? report.markdown : Self.text(report, environment.style))
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
        if json { environment.print("[" + objects.joined(separator: ",\n") + "]") }
        if !isGood { throw CommandStatus.failed }
    }

    private static func text(_ report: ResumabilityReport, _ style: Style) -> String {
        let bad = report.trials.count { !$0.violations.isEmpty }, name = "\(report.workflow) \(report.version)"
        let size = "\(report.trials.count) interruptions at \(report.checkpoints.count) checkpoints"
        var lines = [
            bad == 0
                ? "\(style.green("✓")) \(name) survives \(size)" : "\(style.red("✗")) \(name) does not survive \(bad) of \(size)"
        ]
        lines += report.warnings.map { "  \(style.yellow("!")) \($0)" }
        let decisions = Set(report.trials.flatMap(\.decisions)).sorted()
        lines += decisions.map { "  \(style.dim("a person has to say")) \($0)" }
        if let story = report.story { lines += ["", story] }
        return lines.joined(separator: "\n")
    }
}
