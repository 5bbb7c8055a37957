import ArgumentParser
import PerdureCommands

/// `perdure` itself: every command of the library over the example workflows, and the demo.
@main
struct Program {
    static func main() async {
        let demos = [DemoCommand.configuration.commandName, DemoEngineCommand.configuration.commandName]
        if let first = CommandLine.arguments.dropFirst().first, demos.contains(first) {
            await DemoTool.main()
        } else {
            await Examples.main()
        }
    }
}

/// The commands that need no store.
struct DemoTool: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perdure", abstract: "Workflows that outlive their processes.",
        subcommands: [DemoCommand.self, DemoEngineCommand.self])
}
