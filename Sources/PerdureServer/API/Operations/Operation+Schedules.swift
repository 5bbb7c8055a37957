internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory

extension Operation {
    private static let schedule = "\(namespace)/schedules/{schedule}"
    private static let done = [Success(status: .ok, about: "As it stands now.", schema: .schedule)]

    static let schedules: [Operation] = [
        Operation(
            id: "listSchedules", method: .get, path: "\(namespace)/schedules", group: "Schedules",
            summary: "Lists the schedules of a namespace by their ids.", right: .view,
            query: [
                Parameter(name: "after", schema: .text(.identifier), about: "Only schedules whose ids come behind this one."),
                Parameter(name: "limit", schema: .integer(1...Call.pageLimit), about: "How many at most. 50 without it."),
            ],
            successes: [
                Success(
                    status: .ok, about: "A page of them.",
                    schema: .object([
                        .must("schedules", .list(.schedule, atMost: 1_000)),
                        .may("next", .text(.identifier), "Where the next page begins: its 'after'. Missing at the end."),
                    ]))
            ]
        ) { call in
            let after = call.query.text("after").map { (namespace: call.namespace, id: $0) }
            let (found, next) = try await call.client.schedulePage(in: call.namespace, after: after, limit: call.limit)
            var page: JSONObject = ["schedules": .array(found.map { ScheduleText.json($0) })]
            if let next { page["next"] = .string(next.id) }
            return Answer(.ok, .object(page))
        },
        Operation(
            id: "getSchedule", method: .get, path: schedule, group: "Schedules", summary: "Shows a schedule.", right: .view,
            successes: done
        ) { try await $0.schedule() },
    ]
}

extension Call {
    fileprivate var scheduleID: String { path["schedule"] ?? "" }

    fileprivate func schedule() async throws -> Answer {
        Answer(.ok, ScheduleText.json(try await client.schedule(scheduleID, in: namespace)))
    }
}
