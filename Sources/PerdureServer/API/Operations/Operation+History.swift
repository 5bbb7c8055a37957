internal import HTTPTypes
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

extension Operation {
    static let history: [Operation] = [
        Operation(
            id: "getHistory", method: .get, path: "\(run)/history", group: "Histories",
            summary: "Reads the history of a run, in order.", right: .view,
            query: [
                Parameter(name: "after", schema: .integer(0...Int64.max), about: "Only events behind this number."),
                Call.limitParameter,
            ],
            successes: [
                Success(
                    status: .ok, about: "Events; fewer than asked for where values are large.",
                    schema: .object([
                        .must("events", .list(.event, atMost: 1_000)),
                        .may("next", .integer(1...Int64.max), "Where the next page begins: its 'after'. Missing at the end."),
                    ]))
            ],
            refusals: [.conflict]
        ) { call in
            let record = try await call.client.record(try call.run()), after = call.query.integer("after") ?? 0
            let events = try await call.client.guarded {
                try await call.client.store.events(of: record.number, after: after, limit: call.limit)
            }
            var page: JSONObject = ["events": .array(events.map(RunJSON.event))]
            // Only an empty page is the end: one with large values is short.
            if let last = events.last?.seq { page["next"] = .integer(last) }
            return Answer(.ok, .object(page))
        },
        Operation(
            id: "followHistory", method: .get, path: "\(run)/events", group: "Histories",
            summary: "Tells the events of a run as they become durable, in server-sent events, until it is over.", right: .view,
            query: [Parameter(name: "after", schema: .integer(0...Int64.max), about: "Only events behind this number.")],
            successes: [
                Success(
                    status: .ok,
                    about:
                        "Each event with its number as 'id' and itself as 'data', as in getHistory; last of all one named 'end' with the "
                        + "state of the run.",
                    schema: .followed, isStream: true),
                Success(status: .noContent, about: "The run is over and all of it was told.", schema: nil),
            ]
        ) { call in
            let after = call.lastEventID ?? call.query.integer("after") ?? 0
            return try await call.follow(after)
        },
        Operation(
            id: "verifyRun", method: .get, path: "\(run)/verification", group: "Histories",
            summary: "Reads a history and says whether it holds together and proves what it should.", right: .view,
            successes: [Success(status: .ok, about: "What was found.", schema: .verification)]
        ) { call in
            let record = try await call.client.record(try call.run())
            let verification = try await call.client.verification(of: record)
            return Answer(.ok, RunJSON.report(verification.record, verification.report))
        },
        Operation(
            id: "listStuckSteps", method: .get, path: "\(run)/stuck-steps", group: "Histories",
            summary: "Lists the steps of a run that are in doubt or dead letters.", right: .view,
            successes: [
                Success(
                    status: .ok, about: "Those steps.",
                    schema: .object([.must("steps", .list(.stuckStep, atMost: 100_000))]))
            ],
            refusals: [.gone]
        ) { call in
            let steps = try await call.client.stuckSteps(of: try call.run())
            return Answer(.ok, ["steps": .array(steps.map(\.json))])
        },
    ]
}

extension Call {
    fileprivate func follow(_ after: Int64) async throws -> Answer {
        let run = try run(), record = try await client.record(run)
        // A browser connects again after the end of a stream, and stops at this answer.
        if after > 0, record.state.endsWaits,
            try await client.guarded({ try await client.store.events(of: record.number, after: after, limit: 1) }).isEmpty
        {
            return Answer(.noContent, nil)
        }
        guard await live.hasRoom(for: caller.id) else {
            var problem = Problem(
                .serviceUnavailable, "streams_exhausted",
                "\(LiveHistories.mostFollowers) streams of events are open already, or \(LiveHistories.mostOfOne) of yours. Read the history in "
                    + "pages, or come again.")
            problem.retryAfter = .seconds(10)
            throw problem
        }
        let feed = HistoryFeed(client: client, live: live, caller: caller.id, run: run, number: record.number, after: after)
        return Answer(EventStream { try await feed.tell($0) })
    }
}

extension StuckStep {
    fileprivate var json: JSONValue {
        let cause: String?
        switch reason {
        case .inDoubt(let why): cause = why
        case .deadLetter: cause = nil
        }
        return .members(
            ("step", .string(step)), ("undo", .bool(isUndo)), ("reason", cause == nil ? "dead_letter" : "in_doubt"),
            ("cause", cause.map(JSONValue.string)), ("effect", .string(effect)), ("message", message.map(JSONValue.string)),
            ("quiet_until", quietUntil.map { JSONValue(time: Timestamp($0)) }))
    }
}
