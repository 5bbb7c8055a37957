import ArgumentParser
import Foundation
import PerdureCommands
import PerdureEngine

/// `perdure` itself: every command of the library over the example workflows, and those that are no app's.
@main
struct Program {
    static func main() async {
        if let first = CommandLine.arguments.dropFirst().first, Tools.names.contains(first) {
            await Tools.main()
        } else {
            await Examples.main()
        }
    }
}

/// The commands that need no workflows.
struct Tools: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perdure", abstract: "Workflows that outlive their processes.", subcommands: subcommands)

    #if PERDURE_CORE
        private static let tools: [any ParsableCommand.Type] = [
            BenchCommand.self, BenchWorkerCommand.self, SwarmCommand.self, SwarmWorkerCommand.self, FailuresCommand.self,
            SoakCommand.self, SoakWorkerCommand.self, SimulateCommand.self, TourCommand.self,
        ]
    #else
        private static let tools: [any ParsableCommand.Type] = [
            DemoCommand.self, DemoEngineCommand.self, BenchCommand.self, BenchWorkerCommand.self, SwarmCommand.self,
            SwarmWorkerCommand.self, FailuresCommand.self, SoakCommand.self, SoakWorkerCommand.self, SimulateCommand.self,
            TourCommand.self, DevCommand.self, ServeCommand.self, ConfigCommand.self, TokenCommand.self,
        ]
    #endif

    #if PERDURE_MUTANTS
        private static let subcommands = tools + [MutantsCommand.self as any ParsableCommand.Type]
    #else
        private static let subcommands = tools
    #endif

    static let names = subcommands.compactMap { $0.configuration.commandName }

    /// Parses the command line, runs the command and exits with its status, which for words that make no sense is that of every other
    /// command and not the parser's own.
    @concurrent static func main() async {
        do {
            var command = try await asyncParseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            try? Output.put(fullMessage(for: error) + "\n", to: STDERR_FILENO)
            Foundation.exit(CommandStatus.usage.rawValue)
        }
    }
}

#if PERDURE_CORE
    /// The core has no example workflows: they speak HTTP. Its program looks at runs and moves them, and measures.
    enum Examples: PerdureApp {
        static var abstract: String {
            "Lets people look at runs and move them. 'perdure bench' measures the engine; 'perdure swarm', 'perdure failures' and 'perdure simulate' "
                + "look for what it does not survive."
        }
        static var workflows: Workflows {}
    }
#endif
