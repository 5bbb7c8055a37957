internal import Foundation
internal import Logging
public import PerdureEngine
public import PerdureTesting

/// What a `PerdureApp` lists: workflows as values, one for each version that it hosts.
public typealias Workflows = [RegisteredWorkflow]

/// An executable that has every command over its own workflows.
///
/// ```swift
/// @main struct App: PerdureApp {
///     static var workflows: Workflows { RotateSecret(vault: .live) }
/// }
/// ```
///
/// `app run` hosts the workflows; `app start`, `list`, `show`, `explain`, `approve` and the others work beside it or without it.
public protocol PerdureApp: SendableMetatype {
    /// The workflows that `run` and `start` host. They are made only by commands that need them.
    @WorkflowBuilder static var workflows: Workflows { get async throws }

    /// How the engine of `run` and `start` works. Default: `EngineConfiguration()`.
    static var configuration: EngineConfiguration { get }

    /// One sentence on what the executable is for; it stands at the top of its help.
    static var abstract: String { get }

    /// What `resumability` interrupts at every checkpoint: workflows with an input and an other side in memory. Default: nothing.
    static var resumability: [CrashMatrix] { get async throws }
}

extension PerdureApp {
    public static var configuration: EngineConfiguration { EngineConfiguration() }
    public static var resumability: [CrashMatrix] { [] }
    public static var abstract: String { "Runs durable workflows, and lets people look at them and move them." }

    /// Parses the command line, runs the command and exits with its status.
    @concurrent public static func main() async {
        let environment = CommandEnvironment.process(Self.self)
        let status = await CommandLineTool<Self>.run(Array(CommandLine.arguments.dropFirst()), environment)
        exit(status.rawValue)
    }
}
