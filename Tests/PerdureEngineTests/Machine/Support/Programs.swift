import Perdure
import Testing

@testable import PerdureEngine

/// Code that crash tests go through event by event, with how its bodies end.
struct Program: CustomTestStringConvertible, Sendable {
    let name: String
    let code: Code
    var outcomes: [String: [AttemptOutcome]] = [:]
    var testDescription: String { name }

    static let ok = AttemptOutcome.succeeded(MachineDriver.done)
    static let unclear = MachineDriver.failure()
    static let refused = MachineDriver.failure(isDefinite: true)
    static let rejected = MachineDriver.failure(isDefinite: true, isRetryable: false)
    static let lost = MachineDriver.failure(isRetryable: false)
    static let approval = ApprovalRequirement.required(by: .anyone, within: .hours(1))

    static let all: [Program] = [
        Program(name: "a step of each effect", code: .sequence([.read("r"), .idempotent("i"), .atMostOnce("o")])),
        Program(
            name: "attempts that fail", code: .sequence([.read("r"), .idempotent("i"), .atMostOnce("o")]),
            outcomes: ["r": [unclear, refused, ok], "i": [unclear, refused, ok], "o": [refused, refused, ok]]),
        Program(
            name: "an at-most-once step without an answer", code: .sequence([.atMostOnce("o"), .atMostOnce("p", probe: true)]),
            outcomes: ["o": [unclear], "p": [unclear, ok]]),
        Program(
            name: "steps that give up",
            code: .sequence([
                .recovered(.idempotent("i", policy: .retry(.limited(to: 2).thenThrow))),
                .idempotent("j", policy: .retry(.limited(to: 2))), .idempotent("k", policy: .retry(.limited(to: 1))),
            ]),
            outcomes: ["i": [refused], "j": [refused], "k": [unclear]]),
        Program(
            name: "a run that is undone",
            code: .sequence([
                .idempotent("a", undo: .idempotent), .atMostOnce("b", undo: .atMostOnce(hasProbe: true)),
                .parallel([.idempotent("c", undo: .idempotent), .atMostOnce("d", undo: .atMostOnce(hasProbe: false))]), .fails,
            ])),
        Program(
            name: "a scope that is undone alone",
            code: .sequence([
                .idempotent("a", undo: .idempotent),
                .recovered(
                    .scope("s", .sequence([.idempotent("b", undo: .idempotent), .idempotent("c", undo: .idempotent), .fails]))),
                .idempotent("d"),
            ])),
        Program(
            name: "a rejected step undoes the ones before it",
            code: .sequence([.idempotent("a", undo: .idempotent), .atMostOnce("b")]), outcomes: ["b": [rejected]]),
        Program(
            name: "a step that lost a race and happened",
            code: .sequence([.race([.signal("s"), .idempotent("i", undo: .idempotent), .atMostOnce("o")]), .read("r")])),
        Program(
            name: "waits that lost a race",
            code: .race([.timer("t", .days(1)), .question("q", within: .days(2)), .read("r"), .signal("s")])),
        Program(
            name: "approvals", code: .sequence([.atMostOnce("o", approval: approval), .idempotent("i", approval: approval)]),
            outcomes: ["o": [refused, ok], "i": [unclear, ok]]),
        Program(
            name: "an approval that lost a race",
            code: .sequence([.race([.signal("s"), .atMostOnce("o", approval: approval)]), .timer("t", .hours(2))])),
        Program(
            name: "an intent for every step",
            code: .parallel([
                .idempotent("i", policy: StepPolicy(intent: .always), undo: .idempotent), .idempotent("j", key: "order-7"),
                .timer("t", .minutes(1)),
            ])),
        Program(
            name: "a narrow window", code: .sequence([.idempotent("i", retention: .seconds(30)), .read("r")]),
            outcomes: ["i": [unclear, unclear, refused, ok]]),
        Program(
            name: "children",
            code: .sequence([
                .child("c", undo: .idempotent),
                .parallel([.child("d"), .idempotent("e", undo: .idempotent), .timer("t", .minutes(1))]),
                .child("own", policy: .abandon, isDetached: true), .scope("s", .child("f", undo: .atMostOnce(hasProbe: true))),
                .fails,
            ])),
        Program(
            name: "children that lost a race",
            code: .sequence([
                .race([.timer("t", .minutes(1)), .child("c", undo: .idempotent), .child("d"), .child("e", policy: .abandon)]),
                .read("r"),
            ])),
        Program(
            name: "a run that is continued",
            code: .sequence([.read("r"), .idempotent("i"), .atMostOnce("o", probe: true), .continues("7")])),
        Program(
            name: "a result that cannot be recorded",
            code: .parallel([.idempotent("i"), .recovered(.read("r")), .atMostOnce("o", probe: true)]),
            outcomes: ["i": [.unrecordable("too large")], "r": [.unrecordable("too large")], "o": [lost, ok]]),
    ]
}
