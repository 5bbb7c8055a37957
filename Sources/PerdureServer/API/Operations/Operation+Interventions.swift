internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

extension Operation {
    private static let reason = Schema.Member.may("reason", .text(.free(atMost: 4_000)), "Recorded in the history.")

    static let interventions: [Operation] = [
        message(
            "cancelRun", "cancel", "Interventions",
            "Asks a run to end: its code gets the cancellation where it waits, and what it did is undone.", .operate, .object([])
        ) { call, run in try await call.client.cancel(run, id: call.messageID, by: call.caller) },
        message(
            "terminateRun", "terminate", "Interventions",
            "Ends a run without its code: nothing is undone, and what may have happened is in doubt.", .operate, .object([reason])
        ) { call, run in try await call.client.terminate(run, reason: call.text("reason"), id: call.messageID, by: call.caller) },
        message(
            "pauseRun", "pause", "Interventions", "Stops a run: nothing more is started until it is resumed.", .operate,
            .object([reason])
        ) { call, run in try await call.client.pause(run, reason: call.text("reason"), id: call.messageID, by: call.caller) },
        message("resumeRun", "resume", "Interventions", "Lets a paused run go on.", .operate, .object([])) { call, run in
            try await call.client.unpause(run, id: call.messageID, by: call.caller)
        },
        message(
            "repinRun", "repin", "Interventions", "Lets a run go on with the code of another version.", .operate,
            .object([.must("version", .text(.version))])
        ) { call, run in
            try await call.client.repin(
                run, to: WorkflowVersion(call.text("version") ?? ""), id: call.messageID, by: call.caller)
        },
        message(
            "retryRun", "retry", "Interventions",
            "Lets a dead letter or an idempotent step in doubt try again, or a run that is parked or blocked.", .operate,
            .object([.may("step", .text(.subject), "Without it the run itself.")])
        ) { call, run in
            try await call.client.retry(run, step: call.text("step"), id: call.messageID, by: call.caller)
        },
        message(
            "resolveStep", "resolve", "Interventions", "Clears up a step that is in doubt or a dead letter.", .operate,
            .object([
                .must("step", .text(.subject)),
                .must("resolution", .text(.oneOf(["happened", "did_not_happen", "undo", "abort"]))),
                .may("result", .any, "With happened and undo: what the step returned, if it returns anything."), reason,
            ])
        ) { call, run in
            try await call.client.resolve(
                run, step: call.text("step") ?? "", try call.resolution(), reason: call.text("reason"), id: call.messageID,
                by: call.caller)
        },
        message(
            "settleLoss", "settle-loss", "Interventions",
            "Says that nothing is outstanding of what the lost part of a history may have sent.", .operate, .object([reason])
        ) { call, run in
            try await call.client.settleLoss(of: run, reason: call.text("reason"), id: call.messageID, by: call.caller)
        },
    ]
}

extension Call {
    fileprivate func resolution() throws(Problem) -> StepResolution {
        let result = body["result"].map { Data($0.canonicalBytes) }
        switch text("resolution") {
        case "happened": return .happened(result: result)
        case "undo": return .undo(result: result)
        case let word where result != nil:
            throw Problem(
                .badRequest, "body_invalid", "A result makes no sense with '\(word ?? "")'.",
                flaws: [Flaw(place: "/result", wish: "has to be left out")])
        case "abort": return .abort
        default: return .didNotHappen
        }
    }
}
