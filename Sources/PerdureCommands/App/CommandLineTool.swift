internal import ArgumentParser
internal import Foundation
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

/// A command over a store. It gets all it needs from its environment, so that it can be tested without a process.
protocol StoreCommand: ParsableCommand {
    func run(in environment: CommandEnvironment) async throws
}

/// The command line of one app, from words to an exit status.
package enum CommandLineTool<App: PerdureApp> {
    package static func run(_ arguments: [String], _ environment: CommandEnvironment) async -> CommandStatus {
        let environment = environment.concealing(arguments)
        let status = await perform(arguments, environment)
        guard let error = environment.lostOutput.error else { return status }
        let lost = report(error, environment)
        return status == .success ? lost : status
    }

    private static func perform(_ arguments: [String], _ environment: CommandEnvironment) async -> CommandStatus {
        do {
            var command = try Root<App>.parseAsRoot(arguments)
            if let command = command as? any StoreCommand {
                try await command.run(in: environment)
            } else {
                try command.run()
            }
            return .success
        } catch {
            return report(error, environment)
        }
    }

    private static func report(_ error: any Error, _ environment: CommandEnvironment) -> CommandStatus {
        switch error {
        case let status as CommandStatus:
            return status
        case let error as PayloadError:
            return report(PerdureError(error), environment)
        case let error as PerdureError:
            let style = environment.style
            let cause = error.cause.map { " (\($0))" } ?? ""
            environment.writeError(
                "\(style.red("error:")) \(error.message)\(cause)\n"
                    + style.dim("code: \(error.code), see docs/errors/\(error.code).md in Perdure's sources") + "\n"
            )
            return CommandStatus(error.code)
        case is CancellationError:
            return .failed
        default:
            // The parser's own: help that was asked for, or words that make no sense.
            let isClean = Root<App>.exitCode(for: error).isSuccess
            let message = Root<App>.fullMessage(for: error)
            if isClean { environment.print(message) } else { environment.writeError(message + "\n") }
            return isClean ? .success : .usage
        }
    }
}

/// The program itself.
struct Root<App: PerdureApp>: ParsableCommand {
    static var configuration: CommandConfiguration {
        let codes = CommandStatus.allCases.map { "  \($0.rawValue)  \($0.meaning)" }.joined(separator: "\n")
        return CommandConfiguration(
            commandName: programName,
            abstract: App.abstract,
            discussion: """
                Every command works on one store: --store, or the variable PERDURE_STORE, or perdure.db in the current folder. It \
                is a file, or a PostgreSQL database: postgres://USER@HOST/DATABASE. On a file one process at a time hosts \
                workflows ('run', or 'start' where nobody else does), on a database any number of them; the other commands \
                work beside them.

                Exit status:
                \(codes)
                """,
            subcommands: [
                RunCommand.self, StartCommand.self, ListCommand.self, ShowCommand.self, ExplainCommand.self,
                ApprovalsCommand.self,
                ApproveCommand.self, DenyCommand.self, AnswerCommand.self, SignalCommand.self, UpdateCommand.self,
                CancelCommand.self,
                TerminateCommand.self, PauseCommand.self, ResumeCommand.self, SettleCommand.self, RepinCommand.self,
                ResetCommand.self,
                ForkCommand.self,
                RetryCommand.self,
                ResolveCommand.self, SchedulesCommand.self, QueuesCommand.self, NamespacesCommand.self, ArchiveCommand.self,
                VerifyCommand.self, VersionsCommand.self, AttemptsCommand.self, NodesCommand.self, RecoverCommand.self,
                CheckCommand.self,
                ResumabilityCommand.self,
                ExportHistoryCommand.self,
            ])
    }

    private static var programName: String {
        CommandLine.arguments.first.map { URL(fileURLWithPath: $0).lastPathComponent } ?? "perdure"
    }
}
