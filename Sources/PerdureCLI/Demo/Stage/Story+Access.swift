import PerdureExamples
import PerdurePeer

// Stories about access: given, taken, cut off.
extension Story {
    static let account = ServiceAccount(name: "reporting", roles: ["reader", "exporter", "scheduler"])
    static let attacked = Incident(number: "INC-31", service: "gateway")

    static func provisioning() throws -> Story {
        Story(
            title: "A service account is provisioned through an outage of the directory",
            starts: [try .init(ProvisionAccount.name, key: account.name, input: account)],
            kills: [
                .at(CrashRule(.afterEffect, .answered, "POST /directory/accounts")),
                .at(CrashRule(.beforeOutcome, .beforeCommit, "step.succeeded", subject: "grant")),
                .at(CrashRule(.afterSend, .sent, "POST /directory/accounts/")),
                .at(CrashRule(.afterOutcome, .afterCommit, "step.succeeded", subject: "issue-token")),
            ],
            trouble: [
                (.createAccount, Behaviour(failBefore: 3, failAfterEffect: 1)),
                (.grantRole, Behaviour(failBefore: 2, dropAfterEffect: 2)),
            ])
    }

    static func deprovisioning() throws -> Story {
        Story(
            title: "The same account is taken away again, with a checkpoint for each revocation",
            starts: [try .init(DeprovisionAccount.name, key: account.name, input: account.name)],
            kills: [
                .at(CrashRule(.afterEffect, .answered, "POST /vault/keys/")),
                .at(CrashRule(.afterOutcome, .afterCommit, "step.succeeded", subject: "revoke-role", count: 1)),
                .at(CrashRule(.beforeOutcome, .beforeCommit, "step.succeeded", subject: "revoke-role", count: 1)),
                .at(CrashRule(.afterSend, .sent, "DELETE /directory/accounts/")),
            ],
            trouble: [
                (.revokeRole, Behaviour(failBefore: 3, failAfterEffect: 1)), (.removeAccount, Behaviour(dropAfterEffect: 1)),
            ])
    }

    static func incident() throws -> Story {
        Story(
            title: "An incident: evidence from three systems, one quarantine, and word to everybody",
            starts: [try .init(RespondToIncident.name, key: attacked.number, input: attacked)],
            kills: [
                .at(CrashRule(.beforeIntent, .beforeCommit, "step.intended", subject: "quarantine")),
                .at(CrashRule(.afterEffect, .answered, "POST /directory/accounts")),
                .at(CrashRule(.beforeOutcome, .beforeCommit, "step.succeeded", subject: "notify")),
            ],
            trouble: [(.findCharges, Behaviour(failBefore: 1_000)), (.sendMessage, Behaviour(failAfterEffect: 1))])
    }
}
