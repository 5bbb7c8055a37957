import Perdure
import PerdureCLI
import PerdureExamples
import PerdureHistory
import PerdurePeer
import Testing

/// The engine is killed while a run takes back what it has done.
@Suite(.serialized, .timeLimit(.minutes(10))) struct UnwindingCrashTests {
    private typealias Place = CrashHarness.Place

    static let places = [
        Place(moment: .beforeCommit, what: "step.failed", subject: "credit-check"),
        Place(moment: .afterCommit, what: "step.failed", subject: "credit-check"),
        Place(moment: .beforeCommit, what: "undo.started", subject: "charge"),
        Place(moment: .afterCommit, what: "undo.started", subject: "charge"),
        Place(moment: .sent, what: "POST /payments/refunds"),
        Place(moment: .answered, what: "POST /payments/refunds"),
        Place(moment: .beforeCommit, what: "undo.succeeded", subject: "charge"),
        Place(moment: .afterCommit, what: "undo.succeeded", subject: "charge"),
        Place(moment: .answered, what: "DELETE /directory/accounts"),
        Place(moment: .beforeCommit, what: "undo.succeeded", subject: "welcome"),
        Place(moment: .beforeCommit, what: "run.failed"),
    ]

    // Promise: 19
    @Test(arguments: places.indices) func killedDuringUnwindingEveryUndoHappensOnceAndInReverseOrder(_ index: Int) async throws {
        let place = Self.places[index]
        let customer = Customer(name: "acme", order: Order(number: "first", cents: 500), creditLimit: 100)
        try await CrashHarness.play(OnboardCustomer.name, key: "acme", input: customer) { run in
            try await run.die(.unwinding, at: place)
            try await run.finish()
            #expect(try await run.state == "failed")
            let started = try await run.history.filter { $0.kind == .undoStarted }.map(\.subject)
            #expect(started == ["charge", "account", "record", "welcome"])
            let undone = try await run.history.filter { $0.kind == .undoSucceeded }.map(\.subject)
            #expect(undone == ["charge", "account", "record", "welcome"])
            let peer = run.stage.peer
            for operation in [PeerOperation.charge, .refund, .removeAccount] {
                #expect(try await run.counts(operation, at: peer).effects == 1)
            }
            for operation in [PeerOperation.createAccount, .grantRole, .sendMessage] {
                #expect(try await run.counts(operation, at: peer).effects == 2)
            }
        }
    }

    @Test func killedAtEachUndoInTurnNothingIsUndoneTwice() async throws {
        let customer = Customer(name: "acme", order: Order(number: "first", cents: 500), creditLimit: 100)
        try await CrashHarness.play(OnboardCustomer.name, key: "acme", input: customer) { run in
            for subject in ["charge", "account", "record", "welcome"] {
                try await run.die(.unwinding, .afterCommit, "undo.started", subject: subject)
                try await run.die(.unwinding, .beforeCommit, "undo.succeeded", subject: subject)
            }
            try await run.finish()
            let undone = try await run.history.filter { $0.kind == .undoSucceeded }.map(\.subject)
            #expect(undone == ["charge", "account", "record", "welcome"])
            #expect(try await run.counts(.refund, at: run.stage.peer).effects == 1)
            #expect(try await run.counts(.sendMessage, at: run.stage.peer).effects == 2)
        }
    }
}
