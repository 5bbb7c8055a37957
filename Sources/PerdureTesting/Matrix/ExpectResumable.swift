public import Perdure
public import PerdureEngine

/// Proves that a workflow survives an interruption at every one of its checkpoints.
///
/// ```swift
/// @Test func `onboarding survives every interruption`() async throws {
///     try await expectResumable({ Onboarding(directory: $0) }, input: customer, world: FakeDirectory.init)
/// }
/// ```
///
/// - Parameters: As those of ``CrashMatrix/init(_:input:world:script:others:interruptions:endMayDiffer:configuration:)``.
/// - Returns: What was tried and what came of it.
/// - Throws: `NotResumable`, whose text tells the first violation as a story, with the history of that trial; `TestFailure` if the workflow
///   does not come to an end even if nothing interrupts it, or if none of the interruptions can be done to it.
@discardableResult
public func expectResumable<W: Workflow, World: TestWorld>(
    _ workflow: @escaping @Sendable (World) -> W, input: W.Input, world: @escaping @Sendable () -> World,
    script: [ScriptedEvent] = [], others: @escaping @Sendable (World) -> [RegisteredWorkflow] = { _ in [] },
    interruptions: [Interruption] = Interruption.allCases, endMayDiffer: Bool = false,
    configuration: EngineConfiguration = EngineConfiguration()
) async throws -> ResumabilityReport {
    let matrix = CrashMatrix(
        workflow, input: input, world: world, script: script, others: others, interruptions: interruptions,
        endMayDiffer: endMayDiffer, configuration: configuration)
    let report = try await matrix.run()
    if let story = report.story { throw NotResumable(report: report, description: story) }
    return report
}

/// A workflow does not survive an interruption.
public struct NotResumable: Error, Sendable, CustomStringConvertible {
    /// Everything that was tried.
    public let report: ResumabilityReport
    /// The first violation as a story.
    public let description: String
}
