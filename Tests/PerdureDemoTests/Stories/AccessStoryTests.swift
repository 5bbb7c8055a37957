import Foundation
import Perdure
import PerdureCLI
import PerdureEngine
import PerdureExamples
import PerdureTesting
import Testing

/// Stories about access, each in virtual time with a misfortune in its middle.
@Suite(.timeLimit(.minutes(5))) struct AccessStoryTests {
    // Promise: 3, 22
    @Test func `a rotation whose services fail by half goes on at the first one that is not done`() async throws {
        let peer = FakePeer(troubles: [
            .init(.isDown, at: "/vault/services/mail", times: 3), .init(.losesAnswer, at: "/vault/services/web", times: 1),
        ])
        let tester = try await WorkflowTester { RotateSecrets(peer: peer.client) }
        let rotation = Rotation(change: "C-1", services: ["db", "mail", "queue", "web"])
        let run = try await tester.start(RotateSecrets.self, input: rotation, script: [.approve("announce", after: .hours(20))])
        try await tester.sleep(for: .hours(20) + .minutes(1))
        #expect(peer.changes.last == "POST /vault/services/db/active", "the second service is in trouble")
        try await tester.crash()
        try await tester.sleep(for: .days(1))
        #expect(try await tester.history(of: run).last == "run.completed")
        let switches = peer.changes.filter { $0.hasSuffix("/active") }
        #expect(switches == rotation.services.map { "POST /vault/services/\($0)/active" })
        #expect(
            peer.effects == [
                "key of db": 1, "key of mail": 1, "key of queue": 1, "key of web": 1, "db uses a key": 1, "mail uses a key": 1,
                "queue uses a key": 1, "web uses a key": 1, "mail 'rotation' to owners@example.org": 1,
            ])
        #expect(try await tester.history(of: run).count { $0.hasPrefix("approval.requested") } == 1)
        await tester.close()
    }

    // Promise: 1
    @Test func `a service account is late by as much as the directory is down`() async throws {
        let peer = FakePeer()
        peer.suffer(.init(.isDown, at: "/directory"))
        let tester = try await WorkflowTester { ProvisionAccount(peer: peer.client) }
        let run = try await tester.start(
            ProvisionAccount.self, input: ServiceAccount(name: "backup", roles: ["reader", "writer"]))
        try await tester.sleep(for: .hours(4))
        #expect(peer.effects == [:])
        try await tester.crash()
        peer.suffer()
        try await tester.sleep(for: .minutes(10))
        #expect(try await tester.history(of: run).last == "run.completed")
        #expect(
            peer.effects == [
                "account backup": 1, "backup is reader": 1, "backup is writer": 1, "key of backup": 1, "backup uses a key": 1,
            ])
        await tester.close()
    }

    // Promise: 19
    @Test func `of a service account that is refused something nothing stays`() async throws {
        let peer = FakePeer(troubles: [.init(.refuses, at: "/vault/services")])
        let tester = try await WorkflowTester { ProvisionAccount(peer: peer.client) }
        await #expect(throws: PerdureError.self) {
            try await tester.run(ProvisionAccount.self, input: ServiceAccount(name: "backup", roles: ["reader", "writer"]))
        }
        #expect(peer.effects == [:])
        #expect(peer.changes.suffix(2).map { $0.prefix(16) } == ["POST /vault/keys", "DELETE /director"])
        await tester.close()
    }

    // Promise: 16
    @Test func `an outage makes nobody pass over a revocation`() async throws {
        let peer = FakePeer(service: "backup")
        let tester = try await WorkflowTester { DeprovisionAccount(peer: peer.client) }
        peer.suffer(.init(.isDown, at: "/directory/accounts/a0"))
        let run = try await tester.start(DeprovisionAccount.self, input: "backup")
        try await tester.sleep(for: .hours(4))
        // What could still be used is gone; the rest waits, and is not skipped.
        #expect(peer.changes == ["POST /vault/keys/k0/revoke"])
        try await tester.crash()
        peer.suffer()
        try await tester.sleep(for: .minutes(10))
        #expect(try await tester.history(of: run).last == "run.completed")
        #expect(
            peer.changes == [
                "POST /vault/keys/k0/revoke", "DELETE /directory/accounts/a0/roles/reader",
                "DELETE /directory/accounts/a0/roles/writer", "DELETE /directory/accounts/a0", "POST /mail/messages",
            ])
        #expect(peer.effects == ["mail 'deprovisioned' to security@example.org": 1])
        await tester.close()
    }

    // Promise: 1
    @Test func `an incident is contained once and told, though a system never answers`() async throws {
        let sides = IncidentSides()
        let tester = try await WorkflowTester(patience: .milliseconds(1)) {
            RespondToIncident(peer: sides.peer.client, network: sides.network.client)
        }
        sides.network.suffer(.init(.losesAnswer, at: "/directory", times: 1))
        let report = try await tester.run(RespondToIncident.self, input: Incident(number: "I-1", service: "db"))
        #expect(report.missing == ["charges"] && report.found.keys.sorted() == ["accounts", "active key"])
        #expect(
            sides.effects == [
                "account cut off db": 1, "mail 'incident' to oncall@example.org": 1, "mail 'incident' to security@example.org": 1,
            ])
        await tester.close()
    }
}
