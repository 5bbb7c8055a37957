internal import Foundation
internal import Perdure
package import PerdureEngine
package import PerdureHistory

/// Queues for people and for machines.
package enum QueueText {
    static func limits(_ limits: QueueLimits) -> String {
        guard limits.concurrency > 0 else { return "nobody" }
        var parts = ["\(limits.concurrency) at once"]
        if let perKey = limits.perKey { parts.append("\(perKey) of a key") }
        if let rate = limits.rate {
            parts.append(
                "\(rate.count) in \(ReadableTime.span(rate.period))" + (rate.burst > 1 ? ", up to \(rate.burst) together" : ""))
        }
        return parts.joined(separator: ", ")
    }

    static func table(_ queues: [QueueInfo], style: Style) -> String {
        guard !queues.isEmpty else { return "No queues.\n" }
        let header = ["QUEUE", "ADMITS", "HELD", "RUNNING", "READY", "WAITING", "STUCK", "QUEUED", "KEYS"]
        let rows = queues.map { queue in
            func held(_ state: String) -> String { String(queue.holders[state] ?? 0) }
            return [
                queue.namespace == "default" ? queue.name : "\(queue.namespace)/\(queue.name)", limits(queue.limits),
                String(queue.held), held("running"), held("ready"), held("waiting"), String(queue.stuck), String(queue.waiting),
                String(queue.waitingKeys),
            ]
        }
        let lines = TextTable(heading: header, rows: rows, numbers: Set(2..<header.count)).lines(style) { place, line in
            queues[place].stuck > 0 ? style.red(line) : queues[place].isClosed ? style.yellow(line) : line
        }
        return lines.joined(separator: "\n") + "\n"
    }

    package static func json(_ queue: QueueInfo) -> JSONValue {
        let holders = queue.holders.sorted { $0.key < $1.key }.map { ($0.key, JSONValue($0.value)) }
        return .members(
            ("queue", .string(queue.name)), ("namespace", .string(queue.namespace)),
            ("concurrency", JSONValue(queue.limits.concurrency)), ("per_key", queue.limits.perKey.map { JSONValue($0) }),
            (
                "rate",
                queue.limits.rate.map { rate in
                    .members(
                        ("count", JSONValue(rate.count)), ("period_seconds", .number(rate.period / .seconds(1))),
                        ("burst", JSONValue(rate.burst)))
                }
            ),
            ("held", JSONValue(queue.held)), ("holders", .object(JSONObject(holders))), ("waiting", JSONValue(queue.waiting)),
            ("waiting_keys", JSONValue(queue.waitingKeys)), ("closed", .bool(queue.isClosed)),
            ("changed_by", .string(queue.changedBy.description)), ("changed_at", ScheduleText.json(queue.changedAt)))
    }
}
