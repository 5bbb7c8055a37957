import Perdure
import PerdureCLI
import PerdureExamples
import PerdureHistory
import PerdurePeer
import Testing

/// Access is given, taken and cut off while the engine is killed and the other side has its troubles.
@Suite(.serialized, .timeLimit(.minutes(10))) struct AccessCrashTests {
    private static let wanted = ServiceAccount(name: "reporting", roles: ["reader", "exporter", "scheduler"])
    private static let incident = Incident(number: "INC-31", service: "gateway")

    private typealias Place = CrashHarness.Place

    /// What stands at the other side of a thing that can be undone.
    private func standing(_ operations: PeerOperation..., at service: PeerService) async throws -> Int {
        var count = 0
        for operation in operations { count += try await service.ledger.effects(operation: operation).count { !$0.undone } }
        return count
    }

    private func setDown(_ isDown: Bool, at service: PeerService) async throws {
        var behaviour = Behaviour()
        behaviour.down = isDown
        try await service.ledger.setBehaviour(behaviour, of: .group("directory"))
    }

    // MARK: Provisioning

    static let provisioning = [
        Place(moment: .sent, what: "POST /directory/accounts"),
        Place(moment: .answered, what: "POST /directory/accounts"),
        Place(moment: .beforeCommit, what: "step.succeeded", subject: "create"),
        Place(moment: .afterCommit, what: "step.succeeded", subject: "grant"),
        Place(moment: .answered, what: "POST /vault/keys"),
        Place(moment: .beforeCommit, what: "step.succeeded", subject: "store-token"),
        Place(moment: .beforeCommit, what: "run.completed"),
    ]

    @Test(arguments: provisioning.indices) func killedWhileItProvisionsItEndsWithOneWholeAccount(_ index: Int) async throws {
        let place = Self.provisioning[index]
        try await CrashHarness.play(ProvisionAccount.name, key: "reporting", input: Self.wanted) { run in
            try await run.die(.afterEffect, at: place)
            try await run.finish()
            try await expectWholeAccount(run)
        }
    }

    private func expectWholeAccount(_ run: CrashHarness) async throws {
        let peer = run.stage.peer
        #expect(try await run.state == "completed")
        for operation in [PeerOperation.createAccount, .issueKey, .activateKey] {
            #expect(try await run.counts(operation, at: peer).effects == 1)
        }
        #expect(try await run.counts(.grantRole, at: peer).effects == 3)
        #expect(try await peer.ledger.counts().duplicates == 0)
    }

    // Promise: 16, 17
    @Test func anOutageOfTheDirectoryMakesItLateAndNothingElse() async throws {
        try await CrashHarness.play(ProvisionAccount.name, key: "reporting", input: Self.wanted) { run in
            try await setDown(true, at: run.stage.peer)
            try await run.die(.random, .afterCommit, "step.attempt_failed", count: 3)
            try await run.die(.random, .beforeCommit, "step.attempt_failed", count: 2)
            #expect(try await run.stage.peer.ledger.counts().effects == 0)
            try await setDown(false, at: run.stage.peer)
            try await run.finish()
            try await expectWholeAccount(run)
            #expect(try await run.count(.stepAttemptFailed, "create") >= 3)
        }
    }

    static let refusals = [
        Place(moment: .afterCommit, what: "step.failed", subject: "grant"),
        Place(moment: .answered, what: "DELETE /directory/accounts"),
        Place(moment: .beforeCommit, what: "undo.succeeded", subject: "create"),
    ]

    // Promise: 19
    @Test(arguments: refusals.indices) func whatIsRefusedForGoodLeavesNothingHalfCreated(_ index: Int) async throws {
        let place = Self.refusals[index]
        let refused = ServiceAccount(name: "reporting", roles: ["reader", String(repeating: "x", count: 201)])
        try await CrashHarness.play(ProvisionAccount.name, key: "reporting", input: refused) { run in
            var behaviour = Behaviour()
            behaviour.failBefore = 2
            behaviour.failAfterEffect = 1
            try await run.stage.peer.ledger.setBehaviour(behaviour, of: .operation(.removeAccount))
            try await run.die(.unwinding, at: place)
            try await run.finish()
            #expect(try await run.state == "failed")
            #expect(try await run.counts(.createAccount, at: run.stage.peer).effects == 1)
            #expect(try await run.counts(.removeAccount, at: run.stage.peer).effects == 1)
            #expect(try await standing(.createAccount, .grantRole, .issueKey, at: run.stage.peer) == 0)
        }
    }

    // MARK: Deprovisioning

    /// Plays a run that takes away what another one has given.
    private func takeAway(_ body: @escaping @Sendable (CrashHarness) async throws -> Void) async throws {
        try await CrashHarness.play(DeprovisionAccount.name, key: "reporting", input: Self.wanted.name) { run in
            try await run.lives.liveToTheEnd([try .init(ProvisionAccount.name, key: "before", input: Self.wanted)])
            try await body(run)
        }
    }

    private func expectNoAccess(_ run: CrashHarness) async throws {
        let peer = run.stage.peer
        #expect(try await run.state == "completed")
        #expect(try await standing(.createAccount, .grantRole, .issueKey, .activateKey, at: peer) == 0)
        #expect(try await run.counts(.revokeRole, at: peer).effects == 3)
        #expect(try await run.counts(.revokeKey, at: peer).effects == 1)
        #expect(try await run.counts(.removeAccount, at: peer).effects == 1)
        #expect(try await run.counts(.sendMessage, at: peer).effects == 1)
        let removed = try #require(try await peer.ledger.effects(operation: .removeAccount).first?.id)
        #expect(try await peer.ledger.effects(operation: .revokeRole).allSatisfy { $0.id < removed })
        let checkpoints = try await run.history.filter { $0.kind == .stepSucceeded }.map {
            String($0.subject.prefix { $0 != "[" })
        }
        #expect(
            checkpoints == ["token", "accounts", "revoke-token", "revoke-role", "revoke-role", "revoke-role", "remove", "report"])
    }

    static let revocations = [
        Place(moment: .afterCommit, what: "step.succeeded", subject: "accounts"),
        Place(moment: .answered, what: "POST /vault/keys/"),
        Place(moment: .afterCommit, what: "step.succeeded", subject: "revoke-token"),
        Place(moment: .sent, what: "DELETE /directory/accounts/"),
        Place(moment: .beforeCommit, what: "step.succeeded", subject: "revoke-role"),
        Place(moment: .afterCommit, what: "step.succeeded", subject: "revoke-role"),
        Place(moment: .beforeCommit, what: "step.succeeded", subject: "remove"),
        Place(moment: .answered, what: "POST /mail/messages"),
    ]

    // Promise: 16
    @Test(arguments: revocations.indices) func killedWhileItTakesAwayEachRevocationHappensOnce(_ index: Int) async throws {
        let place = Self.revocations[index]
        try await takeAway { run in
            try await run.die(.afterEffect, at: place)
            try await run.finish()
            try await expectNoAccess(run)
        }
    }

    // Promise: 16
    @Test func anOutageMakesItPassNoRevocationOver() async throws {
        try await takeAway { run in
            try await run.die(.afterOutcome, .afterCommit, "step.succeeded", subject: "revoke-role")
            try await setDown(true, at: run.stage.peer)
            try await run.die(.random, .afterCommit, "step.attempt_failed", count: 4)
            #expect(try await run.counts(.revokeRole, at: run.stage.peer).effects == 1)
            try await setDown(false, at: run.stage.peer)
            try await run.finish()
            try await expectNoAccess(run)
        }
    }

    // MARK: An incident

    static let responses = [
        Place(moment: .afterCommit, what: "step.succeeded", subject: "accounts"),
        Place(moment: .beforeCommit, what: "step.intended", subject: "quarantine"),
        Place(moment: .afterCommit, what: "step.intended", subject: "quarantine"),
        Place(moment: .answered, what: "POST /directory/accounts"),
        Place(moment: .beforeCommit, what: "step.succeeded", subject: "quarantine"),
        Place(moment: .answered, what: "POST /mail/messages"),
    ]

    @Test func aSystemThatDoesNotAnswerHoldsNeitherTheQuarantineNorTheMessageUp() async throws {
        try await CrashHarness.play(RespondToIncident.name, key: "INC-31", input: Self.incident) { run in
            try await run.stage.hold(.findCharges, true)
            try await run.finish()
            let report = try await run.output(as: RespondToIncident.Report.self)
            #expect(report.missing == ["charges"] && Set(report.found.keys) == ["active key", "accounts"])
            try await expectCutOff(run)
        }
    }

    @Test(arguments: responses.indices) func killedWhileItRespondsItCutsOffOnceAndTellsEverybody(_ index: Int) async throws {
        let place = Self.responses[index]
        try await CrashHarness.play(RespondToIncident.name, key: "INC-31", input: Self.incident) { run in
            try await run.die(.afterEffect, at: place)
            try await run.finish()
            try await expectCutOff(run)
        }
    }

    private func expectCutOff(_ run: CrashHarness) async throws {
        #expect(try await run.state == "completed")
        // The network knows no keys: two requests would be two effects.
        #expect(try await run.counts(.createAccount, at: run.stage.bank).effects == 1)
        #expect(try await run.counts(.sendMessage, at: run.stage.peer).effects == 2)
        #expect(try await run.stage.peer.ledger.counts().duplicates == 0)
    }
}
