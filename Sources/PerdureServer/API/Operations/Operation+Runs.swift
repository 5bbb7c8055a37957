internal import HTTPTypes
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

extension Operation {
    /// A place in a queue, as runs and schedules have it.
    static let queuePlace = Schema.object([
        .must("name", .text(.identifier)), .may("key", .text(.key)),
        .may("priority", .integer(0...9), "5 without it; the higher goes first."),
    ])

    static let runs: [Operation] = [
        Operation(
            id: "startRun", method: .post, path: "\(namespace)/runs", group: "Runs",
            summary: "Starts a run, or finds the one that was started with the same key and input.", right: .start,
            body: .object([
                .must("workflow", .text(.identifier)),
                .may("version", .text(.version), "Without it the newest that is hosted."),
                .may("input", .any, "What the workflow takes; null without it."),
                .may(
                    "key", .text(.key),
                    "One key, one run of this workflow in the namespace. Without it the run gets one from the Idempotency-Key."),
                .may("labels", .map(.identifier, .text(.key), atMost: 32)),
                .may("deadline_seconds", .integer(1...3_153_600_000), "How long the run may take."),
                .may("queue", queuePlace),
            ]),
            successes: [
                Success(status: .created, about: "It is started, durably.", schema: .started),
                Success(status: .ok, about: "It was started before, with this key and input.", schema: .started),
            ],
            refusals: [.tooManyRequests]
        ) { try await $0.start() },
        Operation(
            id: "listRuns", method: .get, path: "\(namespace)/runs", group: "Runs", summary: "Lists runs, newest first.",
            right: .view,
            query: [
                Parameter(name: "workflow", schema: .text(.identifier), about: "Only runs of this workflow."),
                Parameter(name: "version", schema: .text(.version), about: "Only runs of this version."),
                Parameter(name: "state", schema: .text(.oneOf(Schema.states)), about: "Only runs in this state.", repeats: true),
                Parameter(
                    name: "label", schema: .text(.label), about: "Only runs with this label: NAME=VALUE.", repeats: true),
                Parameter(name: "key", schema: .text(.key), about: "Only the run with this key; needs workflow."),
            ] + Call.pageParameters,
            successes: [Success(status: .ok, about: "A page of them.", schema: Call.page("runs", .runShape))]
        ) { try await $0.listRuns() },
        Operation(
            id: "getRun", method: .get, path: run, group: "Runs", summary: "Shows a run at a glance.", right: .view,
            successes: [Success(status: .ok, about: "The run.", schema: .runShape)]
        ) { call in Answer(.ok, RunJSON.run(try await call.client.record(try call.run()))) },
        Operation(
            id: "getResult", method: .get, path: "\(run)/result", group: "Runs",
            summary: "Says what a run came to; waits for its end if that is wanted.", right: .view,
            query: [
                Parameter(
                    name: "wait_seconds", schema: .integer(0...60), about: "How long to wait for the end. Without it not at all.")
            ],
            successes: [
                Success(status: .ok, about: "It has ended.", schema: .result),
                Success(status: .accepted, about: "It has not ended yet; ask again.", schema: .result),
            ],
            refusals: [.gone]
        ) { try await $0.result() },
        Operation(
            id: "explainRun", method: .get, path: "\(run)/explanation", group: "Runs",
            summary: "Says in sentences why a run is not moving, and what moves it.", right: .view,
            successes: [Success(status: .ok, about: "The explanation.", schema: .explanation)], refusals: [.gone]
        ) { call in
            let (record, explanation) = try await call.client.explain(try call.run(), now: call.now())
            return Answer(.ok, RunJSON.explanation(record, explanation))
        },
        Operation(
            id: "forkRun", method: .post, path: "\(run)/fork", group: "Runs",
            summary: "Makes a run that begins where this one stood at an event, with a history of its own.", right: .operate,
            body: .object([
                .must("event", .integer(1...Int64.max), "The number of the last event that counts."),
                .may("version", .text(.version), "Whose code goes on with it. Without it the one that this run is on now."),
                .may("key", .text(.key), "The fork's. Without it the fork gets one from the Idempotency-Key."),
                .may("reason", .text(.free(atMost: 4_000)), "Recorded in the history."),
            ]),
            successes: [
                Success(
                    status: .created, about: "The fork, also if the same request has made it before.",
                    schema: .object([.must("run", .text(.run))]))
            ], refusals: [.gone, .tooManyRequests]
        ) { call in
            let fork = try await call.client.fork(
                try call.run(), at: call.body["event"]?.integerValue ?? 0,
                version: call.text("version").map { WorkflowVersion($0) },
                key: call.text("key") ?? call.messageID, reason: call.text("reason"), by: call.caller)
            return Answer(
                .created, ["run": .string(fork.description)],
                headers: [.location: "/v1/namespaces/\(call.namespace)/runs/\(fork)"])
        },
    ]
}

extension Call {
    var queuePlace: QueuePlace? {
        body["queue"].map { queue in
            QueuePlace(
                queue["name"]?.stringValue ?? "", key: queue["key"]?.stringValue ?? "",
                priority: Int(queue["priority"]?.integerValue ?? 5))
        }
    }

    fileprivate func start() async throws -> Answer {
        let workflow = text("workflow") ?? ""
        // Without a key of its own the request gives it one, so that the same request again finds the same run.
        let key = text("key") ?? messageID
        let version = try await client.versionToStart(
            workflow, text("version").map { WorkflowVersion($0) }, json: json("input"), key: key, in: namespace, of: workflows)
        let labels = Dictionary(
            (body["labels"]?.objectValue?.members ?? []).map { ($0.key, $0.value.stringValue ?? "") }, uniquingKeysWith: { $1 })
        let run: RunID, isNew: Bool
        do {
            (run, isNew) = try await client.start(
                workflow: workflow, version: version, json: json("input"), key: key, labels: labels,
                deadline: body["deadline_seconds"]?.integerValue.map { .seconds($0) }, queue: queuePlace, by: caller)
        } catch let error as PerdureError where error.code == .runConflict && text("key") == nil {
            throw Problem(
                .unprocessableContent, "message_conflict",
                "A run with another input was started under this Idempotency-Key. Nothing was started; use another one.")
        }
        return Answer(
            isNew ? .created : .ok, ["run": .string(run.description), "new": .bool(isNew)],
            headers: [.location: "/v1/namespaces/\(namespace)/runs/\(run)"])
    }

    fileprivate func listRuns() async throws -> Answer {
        if let key = query.text("key") { return try await findRun(key) }
        let states = query.texts("state").compactMap { RunState(rawValue: $0) }
        var labels: [String: String] = [:]
        for (name, value) in query.texts("label").compactMap(TextRule.label) {
            guard labels.updateValue(Name.normalized(value), forKey: name) == nil else {
                throw refusal("label", "names '\(name)' twice, and a run has one value of it")
            }
        }
        let question =
            ["runs", namespace, query.text("workflow") ?? "", query.text("version") ?? ""] + states.map(\.rawValue).sorted()
            + labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        let filter = RunFilter(
            namespace: namespace, workflow: query.text("workflow"), version: query.text("version"), states: states,
            labels: labels,
            before: try last(of: question), limit: limit)
        let runs = try await client.guarded { try await client.store.runs(filter) }
        return page("runs", runs.map(RunJSON.run), next: runs.count == limit ? runs.last?.number : nil, of: question)
    }

    private func findRun(_ key: String) async throws -> Answer {
        guard let workflow = query.text("workflow") else {
            throw refusal("workflow", "has to be named where a key is looked for")
        }
        for other in ["version", "state", "label", "cursor"] where !query.texts(other).isEmpty {
            throw refusal(other, "has to be left out where a key is looked for: one run has it at most")
        }
        let found = try await client.keyHolder(key, of: workflow, in: namespace)
        return Answer(.ok, ["runs": .array(found.map { [RunJSON.run($0)] } ?? [])])
    }

    private func refusal(_ parameter: String, _ wish: String) -> Problem {
        Problem(.badRequest, "query_invalid", "'\(parameter)' \(wish).", flaws: [Flaw(place: parameter, wish: wish)])
    }

    fileprivate func result() async throws -> Answer {
        let run = try run(), wait = query.integer("wait_seconds") ?? 0
        var outcome = try await RunOutcome.read(run, client, isNew: false, wasWaitedFor: true)
        if wait > 0, !outcome.record.state.endsWaits {
            _ = try await firstResult(within: .seconds(wait)) { [client] in
                try await client.wait { try await $0.latestRecord(of: run).state.endsWaits }
            }
            outcome = try await RunOutcome.read(run, client, isNew: false, wasWaitedFor: true)
        }
        var json = outcome.json.objectValue ?? JSONObject()
        json["new"] = nil
        json["state"] = .string(outcome.record.state.rawValue)
        return Answer(outcome.record.state.endsWaits ? .ok : .accepted, .object(json))
    }
}
