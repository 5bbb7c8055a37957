import ArgumentParser
import Foundation

/// Kills an engine again and again while it pays, rotates and onboards, and counts at the other side what happened.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo", abstract: "Kills an engine again and again, and counts what happened at the other side.",
        discussion: """
            Eight stories are played against a small service that counts requests and effects. The engine runs in a \
            process of its own, which is killed with SIGKILL at named moments and at random, and started again. At the end every \
            effect has happened exactly once. Exit code 0 says so; 1 says that it is not true.
            """)

    @Option(help: "Decides amounts and random moments; the same for the same number.") var seed: UInt64 = 1
    @Flag(help: "Print one JSON object and nothing else.") var json = false
    @Flag(help: ArgumentHelp("Forget idempotency keys and probes, to see that the counting works.", visibility: .hidden))
    var withoutDefences = false

    func run() async throws {
        let isTerminal = isatty(STDOUT_FILENO) == 1
        let narrator = Narrator(manner: json ? .silent : isTerminal ? .colour : .plain)
        let stories = try Story.all(seed: seed), isDefended = !withoutDefences
        var report = try await Stage.run(isDefended: isDefended) { stage in
            try await Show(stage, narrator).play(stories)
        }
        report.seed = seed
        report.defences = isDefended
        print(json ? try report.reportJSON : report.table(colour: isTerminal))
        if !report.isGood { throw ExitCode(1) }
    }
}
