import ArgumentParser

/// `perdure` itself: it only knows its subcommands.
@main
struct Root: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perdure", abstract: "Workflows that outlive their processes.",
        subcommands: [DemoCommand.self, DemoEngineCommand.self])
}
