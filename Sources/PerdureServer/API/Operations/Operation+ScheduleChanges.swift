internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory

extension Operation {
    private static let seconds = Schema.integer(1...315_360_000)

    /// When, what, and what else holds of a schedule.
    private static let definition: [Schema.Member] = [
        .may("cron", .text(.free(atMost: 1_000)), "Five fields as in crontab(5), or @hourly, @daily and so on."),
        .may("zone", .text(.free(atMost: 200)), "The time zone of 'cron', such as Europe/Berlin. UTC without it."),
        .may("every_seconds", seconds, "In even intervals, in the place of 'cron'."), .must("workflow", .text(.identifier)),
        .may("version", .text(.version), "Without it the newest that is hosted at the time."),
        .may("input", .any, "null without it."),
        .may("labels", .map(.identifier, .text(.key), atMost: 100)),
        .may("deadline_seconds", seconds, "How long each run may take."), .may("queue", queuePlace),
        .may(
            "overlap", .text(.oneOf(Schedule.Overlap.allCases.map(\.rawValue))),
            "What happens while a run of it is open. 'skip' without it."),
        .may("catch_up_seconds", seconds, "How late a run may start. A day without it."),
        .may("jitter_seconds", .integer(0...86_400), "Spreads the starts over so long."),
    ]

    static let scheduleChanges: [Operation] = [
        Operation(
            id: "createSchedule", method: .post, path: "\(namespace)/schedules", group: "Schedules",
            summary: "Makes a schedule, or finds that it is there just like that.", right: .operate,
            body: .object([.must("id", .text(.identifier))] + definition),
            successes: [
                Success(status: .created, about: "It was made.", schema: .schedule),
                Success(status: .ok, about: "It was there.", schema: .schedule),
            ]
        ) { call in
            let id = call.text("id") ?? "", wanted = try call.definition()
            let isNew = try await call.client.schedule(id, wanted, in: call.namespace, by: call.caller)
            return Answer(isNew ? .created : .ok, try await call.schedule(id))
        },
        change("changeSchedule", "change", "Has a schedule be all as it is given here.", .object(definition)) { call, id in
            try await call.client.changeSchedule(id, to: try call.definition(), in: call.namespace, by: call.caller)
        },
        change(
            "pauseSchedule", "pause", "Has a schedule start nothing until it is resumed. Paused again, it keeps the first note.",
            .object([.may("note", .text(.free(atMost: 1_000)))])
        ) { call, id in
            try await call.client.pauseSchedule(id, note: call.text("note") ?? "", in: call.namespace, by: call.caller)
        },
        change("resumeSchedule", "resume", "Lets a paused schedule go on. What was due meanwhile is left out.", .object([])) {
            call, id in
            try await call.client.resumeSchedule(id, in: call.namespace, by: call.caller)
        },
        change(
            "backfillSchedule", "backfill", "Has runs started for due times of the past that have none.",
            .object([
                .must("from", .text(.time)), .must("to", .text(.time)),
                .may("overlapping", .bool, "Whether the runs may be open at the same time."),
            ])
        ) { call, id in
            try await call.client.backfillSchedule(
                id, from: try call.date("from"), to: try call.date("to"), overlapping: call.flag("overlapping"),
                in: call.namespace, by: call.caller)
        },
        Operation(
            id: "removeSchedule", method: .post, path: "\(namespace)/schedules/{schedule}/remove", group: "Schedules",
            summary: "Removes a schedule. Runs that are open go on.", right: .operate, body: .object([]),
            successes: [
                Success(status: .ok, about: "It is gone.", schema: .object([.must("removed", .bool)]))
            ]
        ) { call in
            try await call.client.removeSchedule(call.path["schedule"] ?? "", in: call.namespace)
            return Answer(.ok, ["removed": true])
        },
    ]

    /// A change of a schedule, answered by how it stands then.
    private static func change(
        _ id: String, _ word: String, _ summary: String, _ body: Schema,
        make: @escaping @Sendable (Call, String) async throws -> Void
    ) -> Operation {
        Operation(
            id: id, method: .post, path: "\(namespace)/schedules/{schedule}/\(word)", group: "Schedules", summary: summary,
            right: .operate, body: body, successes: [Success(status: .ok, about: "As it stands now.", schema: .schedule)]
        ) { call in
            let schedule = call.path["schedule"] ?? ""
            try await make(call, schedule)
            return Answer(.ok, try await call.schedule(schedule))
        }
    }
}

extension Call {
    fileprivate func schedule(_ id: String) async throws -> JSONValue {
        ScheduleText.json(try await client.schedule(id, in: namespace))
    }

    fileprivate func definition() throws -> Schedule {
        let spec: ScheduleSpec
        switch (text("cron"), body["every_seconds"]?.integerValue) {
        case (let cron?, nil): spec = try .cron(cron, in: text("zone") ?? "UTC")
        case (nil, let seconds?) where text("zone") == nil: spec = try .every(.seconds(seconds))
        default:
            let wish = "takes either 'cron', with a 'zone' perhaps, or 'every_seconds'"
            throw Problem(.badRequest, "body_invalid", "A schedule \(wish).", flaws: [Flaw(place: "/cron", wish: wish)])
        }
        var wanted = Schedule(spec, workflow: text("workflow") ?? "", input: json("input"))
        wanted.version = text("version").map { WorkflowVersion($0) }
        for label in body["labels"]?.objectValue?.members ?? [] { wanted.labels[label.key] = label.value.stringValue }
        wanted.deadline = duration("deadline_seconds")
        wanted.queue = queuePlace
        if let overlap = text("overlap").flatMap(Schedule.Overlap.init) { wanted.overlap = overlap }
        if let catchUp = duration("catch_up_seconds") { wanted.catchUp = catchUp }
        if let jitter = duration("jitter_seconds") { wanted.jitter = jitter }
        return wanted
    }

    private func duration(_ name: String) -> Duration? { body[name]?.integerValue.map { .seconds($0) } }

    fileprivate func date(_ name: String) throws(Problem) -> Date {
        let text = text(name) ?? ""
        guard let date = try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: text.contains("."))) else {
            throw Problem(
                .badRequest, "body_invalid", "'\(name)' is no time.", flaws: [Flaw(place: "/\(name)", wish: TextRule.time.wish)])
        }
        return date
    }
}
