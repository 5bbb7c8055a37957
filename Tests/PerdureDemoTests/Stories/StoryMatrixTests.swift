import PerdureCLI
import PerdureTesting
import Testing

/// The stories of docs/stories.md, interrupted at every checkpoint. `perdure resumability` tries the same ones.
@Suite(.serialized, .timeLimit(.minutes(10))) struct StoryMatrixTests {
    // Promise: 4, 44
    @Test(arguments: Stories.all) func `a story survives every interruption at every checkpoint`(_ story: Stories.Story)
        async throws
    {
        let report = try await story.matrix.run()
        #expect(report.isResumable, "\(report.story ?? "")")
        #expect(report.trials.count > 15)
        // One provider can be asked by nobody but a person.
        let isByHand = report.workflow == "take-payment-by-hand"
        #expect(report.trials.contains { !$0.decisions.isEmpty } == isByHand)
        #expect(report.warnings.isEmpty, "\(report.warnings)")
    }
}
