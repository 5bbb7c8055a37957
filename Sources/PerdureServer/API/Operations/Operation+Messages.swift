internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

extension Operation {
    static let messages: [Operation] = [
        message(
            "signalRun", "signal", "Messages", "Sends a signal.", .operate,
            .object([.must("name", .text(.identifier)), .may("payload", .any, "null without it.")])
        ) { call, run in
            try await call.client.signal(
                run, name: call.text("name") ?? "", json: call.json("payload"), id: call.messageID, by: call.caller)
        },
        Operation(
            id: "updateRun", method: .post, path: "\(run)/update", group: "Messages",
            summary: "Sends an update and waits for the run's reply.", right: .operate,
            body: .object([
                .must("name", .text(.identifier)), .may("payload", .any, "null without it."),
                .may("wait_seconds", .integer(1...60), "How long to wait for the reply. 10 without it."),
            ]),
            successes: [
                Success(status: .ok, about: "What the run replies.", schema: .object([.must("reply", .any)])),
                Success(
                    status: .accepted, about: "It is durable and not answered yet: ask again under the same key.",
                    schema: .accepted),
            ],
            isWaitedFor: true
        ) { try await $0.update() },
        message(
            "answerQuestion", "answer", "Questions", "Answers a question of the run.", .approve,
            .object([.must("question", .text(.subject)), .must("answer", .any, "Of the type that the workflow asks for.")])
        ) { call, run in
            try await call.client.answer(
                run, question: call.text("question") ?? "", json: call.json("answer"), id: call.messageID, by: call.caller
            ) { call.rights.mayDecide($0, in: call.namespace) }
        },
    ]

    /// Something that is put into a run's inbox.
    static func message(
        _ id: String, _ word: String, _ group: String, _ summary: String, _ right: Right, _ body: Schema,
        send: @escaping @Sendable (Call, RunID) async throws -> Void
    ) -> Operation {
        Operation(
            id: id, method: .post, path: "\(run)/\(word)", group: group, summary: summary, right: right, body: body,
            successes: [Success(status: .accepted, about: "It is durable; the run takes it in next.", schema: .accepted)],
            refusals: [.gone]
        ) { call in
            let run = try call.run()
            try await send(call, run)
            return .accepted(run)
        }
    }
}

extension Answer {
    fileprivate static func accepted(_ run: RunID) -> Answer {
        Answer(.accepted, ["run": .string(run.description), "accepted": true])
    }
}

extension Call {
    fileprivate func update() async throws -> Answer {
        let run = try run(), name = text("name") ?? "", payload = json("payload"), id = messageID ?? ""
        // Durable, or refused, before anybody waits.
        try await client.send(run, update: name, json: payload, id: id, by: caller)
        let reply = try await firstResult(within: .seconds(body["wait_seconds"]?.integerValue ?? 10)) {
            try await client.update(run, name: name, json: payload, id: id, by: caller)
        }
        guard let reply else { return .accepted(run) }
        return Answer(.ok, ["reply": try JSONValue.parse(Array(reply), what: "the reply")])
    }
}
