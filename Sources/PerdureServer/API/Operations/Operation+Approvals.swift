internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

extension Operation {
    static let approvals: [Operation] = [
        Operation(
            id: "listApprovals", method: .get, path: "\(namespace)/approvals", group: "Approvals",
            summary: "Lists the approvals that wait for a decision, oldest first.", right: .view, query: Call.pageParameters,
            successes: [Success(status: .ok, about: "A page of them.", schema: Call.page("approvals", .approval))]
        ) { try await $0.requests(.approvalRequested, "approvals") { try $0.approval } },
        message(
            "decideApproval", "decide", "Approvals",
            "Approves or denies one action, as it was shown: if it has changed since, the decision is refused.", .approve,
            .object([
                .must("step", .text(.subject)), .must("approve", .bool),
                .must("digest", .text(.free(atMost: 200)), "Of the view that was decided on."),
                .may("reason", .text(.free(atMost: 4_000)), "Recorded in the history."),
            ])
        ) { call, run in
            try await call.client.decide(
                run, step: call.text("step") ?? "", digest: call.text("digest") ?? "", approve: call.flag("approve"),
                reason: call.text("reason"), id: call.messageID, by: call.caller
            ) { call.rights.mayDecide($0, in: call.namespace) }
        },
        Operation(
            id: "listQuestions", method: .get, path: "\(namespace)/questions", group: "Questions",
            summary: "Lists the questions that wait for an answer, oldest first.", right: .view, query: Call.pageParameters,
            successes: [Success(status: .ok, about: "A page of them.", schema: Call.page("questions", .question))]
        ) { try await $0.requests(.questionAsked, "questions") { try $0.question } },
    ]
}

extension Call {
    fileprivate func requests(
        _ kind: EventKind, _ name: String, _ json: (OpenRequest) throws -> JSONValue
    ) async throws -> Answer {
        let question = [name, namespace]
        let found = try await client.openRequests(
            RequestQuery(namespace: namespace, kind: kind, after: try last(of: question) ?? 0, limit: limit))
        return page(name, try found.map(json), next: found.count == limit ? found.last?.number : nil, of: question)
    }
}

extension OpenRequest {
    fileprivate var approval: JSONValue {
        get throws {
            let approval = try PendingApproval(self)
            return .members(
                ("run", .string(run.id.description)), ("workflow", .string(run.workflow)), ("step", .string(approval.step)),
                ("view", try JSONValue.parse(Array(approval.view), what: "the view of an approval")),
                ("digest", .string(approval.digest)), ("approver", .string(approval.approver)),
                ("requested_at", JSONValue(time: event.at)),
                ("expires_at", approval.expiresAt.map { JSONValue(time: Timestamp($0)) }))
        }
    }

    fileprivate var question: JSONValue {
        get throws {
            let question = try PendingQuestion(self)
            return .members(
                ("run", .string(run.id.description)), ("workflow", .string(run.workflow)), ("question", .string(question.name)),
                ("text", .string(question.text)), ("approver", .string(question.approver)),
                ("requested_at", JSONValue(time: event.at)),
                ("expires_at", question.expiresAt.map { JSONValue(time: Timestamp($0)) }))
        }
    }
}
