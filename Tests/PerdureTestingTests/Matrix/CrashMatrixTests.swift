import Foundation
import Perdure
import PerdureEngine
import PerdureTesting
import Testing

/// Workflows that are interrupted at every checkpoint.
@Suite(.timeLimit(.minutes(5))) struct CrashMatrixTests {
    private static let script: [ScriptedEvent] = [
        .signal(Paid.self, "cash", after: .hours(5)), .approve("ship", after: .hours(1)),
    ]

    // Promise: 44
    @Test func `a sound workflow survives every interruption everywhere`() async throws {
        let report = try await expectResumable(
            { Order(shop: $0) }, input: "tea", world: ShopWorld.init, script: Self.script,
            others: { [RegisteredWorkflow(Note(shop: $0))] })
        #expect(report.end == "completed")
        #expect(report.effects == ["reserved tea": 1, "shipped tea": 1, "mailed tea": 1])
        #expect(report.warnings == [])
        #expect(Set(report.trials.map(\.interruption)) == Set(Interruption.allCases))
        #expect(report.trials.filter { $0.interruption == .crashAfterCommit }.allSatisfy { $0.deaths == 1 })
        #expect(report.trials.filter { $0.interruption == .crashTwice }.allSatisfy { $0.deaths == 2 })
        #expect(report.trials.contains { $0.repeatedAttempts > 0 })
        // A lease is lost only while the run is somebody's.
        let lost = report.trials.filter { $0.interruption == .lostLease }
        #expect(lost.count { $0.takeovers > 0 } > lost.count / 2)
    }

    @Test func `a report as JSON has the names that all reports have, and can be read again`() async throws {
        let report = try await CrashMatrix(
            { Note(shop: $0) }, input: "tea", world: ShopWorld.init, interruptions: [.crashAfterEffect]
        ).run()
        let json = String(decoding: try report.json, as: UTF8.self)
        #expect(
            json.contains(#""repeated_attempts""#) && json.contains(#""is_commit""#) && json.contains(#""mailed tea""#))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let again = try decoder.decode(ResumabilityReport.self, from: try report.json)
        #expect(again.trials.map(\.repeatedAttempts) == report.trials.map(\.repeatedAttempts) && again.effects == report.effects)
    }

    // Promise: 44
    @Test(arguments: [
        (BadOrder.Fault.noKey, Interruption.crashAfterEffect, "charged × 2"),
        (.actsOutside, .crashAfterCommit, "The code acts outside of steps"),
        (.actsInCatch, .eviction, "complained × 1"),
    ]) func `what only looks safe is found, and told as a story`(
        fault: BadOrder.Fault, interruption: Interruption, sentence: String
    ) async throws {
        let matrix = CrashMatrix({ BadOrder(shop: $0) }, input: fault, world: ShopWorld.init, interruptions: [interruption])
        do {
            let report = try await matrix.run()
            let story = try #require(report.story)
            #expect(!report.isResumable && story.contains(sentence), "\(story)")
            #expect(report.markdown.contains("Does not survive"))
        } catch let failure as TestFailure {
            // Code that acts outside of steps is found without any interruption.
            #expect(failure.description.contains(sentence), "\(failure)")
        }
    }

    // Promise: 44
    @Test func `an idempotent step that never uses its key, and an undo that never ran, are named`() async throws {
        let report = try await CrashMatrix(
            { BadOrder(shop: $0) }, input: .noKey, world: ShopWorld.init, interruptions: [.crashBeforeCommit]
        ).run()
        #expect(report.warnings.count == 1 && report.warnings.first?.contains("never asks for the idempotency key") ?? false)
        let other = try await CrashMatrix(
            { Order(shop: $0) }, input: "tea", world: ShopWorld.init, script: Self.script,
            others: { [RegisteredWorkflow(Note(shop: $0))] }, interruptions: [.lostAcknowledgement]
        ).run()
        #expect(other.warnings == ["The undo of 'reserve' was never run by any of these trials."])
    }

    @Test(arguments: [[], [.messageWhileDown]] as [[Interruption]])
    func `a matrix without an interruption that can be done shows nothing, and says so`(interruptions: [Interruption])
        async throws
    {
        let failure = await #expect(throws: TestFailure.self) {
            try await expectResumable(
                { Note(shop: $0) }, input: "tea", world: ShopWorld.init, interruptions: interruptions)
        }
        #expect(failure?.description.contains("was not interrupted at all") ?? false, "\(failure?.description ?? "")")
    }

    @Test func `a scripted update survives every interruption, and is taken in once`() async throws {
        let report = try await expectResumable(
            { Counter(shop: $0) }, input: "tea", world: ShopWorld.init,
            script: [.update(Count.self, -1, after: .hours(1)), .update(Count.self, 3, after: .hours(2))])
        #expect(report.end == "completed" && report.effects == ["counted 3 tea": 1])
        #expect(report.trials.contains { $0.interruption == .duplicateDelivery })
        #expect(report.trials.contains { $0.interruption == .messageWhileDown })
    }

    @Test func `the engines are configured as it is said`() async throws {
        var configuration = EngineConfiguration()
        configuration.payloadLimit = 4
        let failure = await #expect(throws: TestFailure.self) {
            try await expectResumable(
                { Note(shop: $0) }, input: "tea", world: ShopWorld.init, configuration: configuration)
        }
        #expect(failure?.description.contains("payload_too_large") ?? false, "\(failure?.description ?? "")")
    }

    @Test func `a workflow that does not end undisturbed is not tried, and what it waits for is said`() async throws {
        let failure = await #expect(throws: TestFailure.self) {
            try await CrashMatrix(
                { Order(shop: $0) }, input: "tea", world: ShopWorld.init, others: { [RegisteredWorkflow(Note(shop: $0))] }
            ).run()
        }
        #expect(failure?.description.contains("waits for a signal") ?? false, "\(failure?.description ?? "")")
    }
}
