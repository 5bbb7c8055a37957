// What docs/testing.md shows. Each part between "begin" and "end" stands there word for word.

import Perdure
import PerdureCommands
import PerdureEngine
import PerdureTesting

// begin workflow
protocol Directory: Sendable {
    func create(_ person: String, key: String) async throws -> String
    func remove(_ account: String, key: String) async throws
    func grant(_ person: String, key: String) async throws
}

struct GrantAccess: Workflow {
    static let name = "grant-access"
    static let version: WorkflowVersion = "1"
    static let owner = "identity"
    let directory: any Directory

    func run(_ person: String, _ context: WorkflowContext) async throws -> String {
        try await context.step("create-account", input: person, .idempotent(retention: .forever)) { [directory] person, step in
            try await directory.create(person, key: step.idempotencyKey)
        } undo: { [directory] account, step in
            try await directory.remove(account, key: step.idempotencyKey)
        }
        try await context.act(
            "grant-role", input: person, .idempotent(retention: .forever),
            approval: .required(by: .role("owner"), within: .days(5)), irreversible: "the role ends with the account"
        ) { [directory] person, step in
            try await directory.grant(person, key: step.idempotencyKey)
        }
        try await context.sleep(for: .days(90))
        return "\(person) is to be reviewed"
    }
}
// end workflow

// begin world
/// The directory as the test plays it. It recognises keys, as the real one does.
struct FakeDirectory: Directory, TestWorld {
    private let ledger = EffectLedger()
    var effects: [String: Int] { ledger.effects }

    func create(_ person: String, key: String) async throws -> String {
        ledger.perform("account \(person)", key: key, answer: person)
    }
    func remove(_ account: String, key: String) async throws { ledger.undo("account \(account)", key: key) }
    func grant(_ person: String, key: String) async throws { ledger.perform("role of \(person)", key: key) }
}
// end world

func tests() async throws {
    // begin run
    let directory = FakeDirectory()
    let tester = try await WorkflowTester { GrantAccess(directory: directory) }
    let result = try await tester.run(
        GrantAccess.self, input: "ada", script: [.approve("grant-role", after: .days(2))])
    assert(result == "ada is to be reviewed")
    assert(tester.elapsed >= .days(92))  // milliseconds for the test
    assert(directory.effects == ["account ada": 1, "role of ada": 1])
    await tester.close()
    // end run

    // begin prove
    try await expectResumable(
        { GrantAccess(directory: $0) }, input: "ada", world: FakeDirectory.init,
        script: [.approve("grant-role", after: .days(2))])
    // end prove

    // begin report
    let report = try await CrashMatrix(
        { GrantAccess(directory: $0) }, input: "ada", world: FakeDirectory.init,
        script: [.deny("grant-role")]
    ).run()
    print(report.markdown)
    // end report

    // begin inventory
    let inventory = WorkflowInventory(reports: [report]) { GrantAccess(directory: FakeDirectory()) }
    assert(!inventory.stopsRuns && inventory.isClean, inventory.markdown)
    // end inventory
}

struct LiveDirectory: Directory {
    func create(_ person: String, key: String) async throws -> String { person }
    func remove(_ account: String, key: String) async throws {}
    func grant(_ person: String, key: String) async throws {}
}

// begin app
struct AccessApp: PerdureApp {
    static var workflows: Workflows { GrantAccess(directory: LiveDirectory()) }
    static var resumability: [CrashMatrix] {
        [
            CrashMatrix(
                { GrantAccess(directory: $0) }, input: "ada", world: FakeDirectory.init,
                script: [.approve("grant-role", after: .days(2))])
        ]
    }
}
// end app
