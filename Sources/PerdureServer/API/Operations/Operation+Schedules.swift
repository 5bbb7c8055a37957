internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory

extension Operation {
    static let schedules: [Operation] = [
        Operation(
            id: "listSchedules", method: .get, path: "\(namespace)/schedules", group: "Schedules",
            summary: "Lists the schedules of a namespace by their ids.", right: .view,
            query: [
                Parameter(name: "after", schema: .text(.identifier), about: "Only schedules whose ids come behind this one."),
                Call.limitParameter,
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
            id: "getSchedule", method: .get, path: "\(namespace)/schedules/{schedule}", group: "Schedules",
            summary: "Shows a schedule.", right: .view,
            successes: [Success(status: .ok, about: "As it stands now.", schema: .schedule)]
        ) { call in
            Answer(.ok, ScheduleText.json(try await call.client.schedule(call.path["schedule"] ?? "", in: call.namespace)))
        },
    ]
}
