internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory

extension Operation {
    static let overview: [Operation] = [
        Operation(
            id: "countRuns", method: .get, path: "\(namespace)/counts", group: "Overview",
            summary: "Says how many runs there are in each state that any is in.", right: .view,
            successes: [Success(status: .ok, about: "Counts by state.", schema: .counts)]
        ) { call in
            let counts = try await call.client.counts(namespace: call.namespace).map { ($0.key, JSONValue($0.value)) }
            return Answer(.ok, .object(JSONObject(counts)))
        },
        Operation(
            id: "listVersions", method: .get, path: "\(namespace)/versions", group: "Overview",
            summary: "Lists the versions of workflows with their runs, and who hosts them. Looks at every run.", right: .view,
            successes: [list("versions", .version)]
        ) { call in
            Answer(
                .ok, ["versions": .array(try await call.client.versions(namespace: call.namespace).map(RunJSON.version))])
        },
        Operation(
            id: "listAttempts", method: .get, path: "\(namespace)/attempts", group: "Overview",
            summary: "Says how many closed runs came through at the first attempt. Reads their histories.", right: .view,
            query: [Parameter(name: "workflow", schema: .text(.identifier), about: "Only runs of this workflow.")],
            successes: [list("attempts", .attempts)]
        ) { call in
            let (reports, _) = try await call.client.attempts(of: call.query.text("workflow"), in: call.namespace)
            return Answer(.ok, ["attempts": .array(reports.map(RunJSON.attempts))])
        },
        Operation(
            id: "listQueues", method: .get, path: "\(namespace)/queues", group: "Overview",
            summary: "Lists the queues of a namespace with their limits and who waits.", right: .view,
            successes: [list("queues", .queue)]
        ) { call in
            Answer(.ok, ["queues": .array(try await call.client.queues(in: call.namespace).map(QueueText.json))])
        },
        Operation(
            id: "setQueue", method: .post, path: "\(namespace)/queues/{queue}", group: "Overview",
            summary: "Makes a queue, or changes its limits. Runs that were admitted keep their places.", right: .operate,
            body: .object([
                .must("concurrency", .integer(0...1_000_000), "How many may be under way. 0 closes it: nobody is admitted."),
                .may("per_key", .integer(1...1_000_000), "How many of one key."),
                .may(
                    "rate",
                    .object([
                        .must("count", .integer(1...1_000_000)), .must("period_seconds", .integer(1...31_536_000)),
                        .may("burst", .integer(1...1_000_000), "How many together. 1 without it."),
                    ]), "How many are admitted in a time."),
            ]),
            successes: [Success(status: .ok, about: "As it stands now.", schema: .queue)]
        ) { try await $0.setQueue() },
        Operation(
            id: "listNodes", method: .get, path: "/v1/nodes", group: "Overview",
            summary: "Lists the processes that host workflows.", right: .administer, successes: [list("nodes", .node)]
        ) { call in Answer(.ok, ["nodes": .array(try await call.client.nodes().map(RunJSON.standing))]) },
        Operation(
            id: "getDescription", method: .get, path: "/openapi.json", group: "Overview",
            summary: "This description: OpenAPI 3.1.", right: .none,
            successes: [Success(status: .ok, about: "The document.", schema: .any)]
        ) { _ in Answer(.ok, OpenAPIDocument.value) },
    ]

    private static func list(_ name: String, _ element: Schema) -> Success {
        Success(status: .ok, about: "All of them.", schema: .object([.must(name, .list(element, atMost: 100_000))]))
    }
}

extension Call {
    fileprivate func setQueue() async throws -> Answer {
        let name = path["queue"] ?? ""
        func number(_ member: String, of value: JSONValue?) -> Int? { value?[member]?.integerValue.map { Int($0) } }
        var limits = QueueLimits(concurrency: number("concurrency", of: body) ?? 0, perKey: number("per_key", of: body))
        if let rate = body["rate"], let count = number("count", of: rate), let period = number("period_seconds", of: rate) {
            limits.rate = .init(count, per: .seconds(period), burst: number("burst", of: rate) ?? 1)
        }
        try await client.setQueue(name, limits: limits, in: namespace, by: caller)
        guard let queue = try await client.queues(in: namespace).first(where: { $0.name == name }) else {
            throw PerdureError(.queueUnknown, "There is no queue '\(name)'.")
        }
        return Answer(.ok, QueueText.json(queue))
    }
}
