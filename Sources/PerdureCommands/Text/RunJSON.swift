internal import Foundation
internal import Perdure
package import PerdureEngine
package import PerdureHistory
package import PerdureStore

// What machines read. Keys are stable; times are ISO 8601 in UTC; members without a value are left out.

extension JSONValue {
    package init(time: Timestamp) { self = .string(time.description) }

    /// Members without a value are left out.
    package static func members(_ members: (String, JSONValue?)...) -> JSONValue {
        .object(JSONObject(members.compactMap { name, value in value.map { (name, $0) } }))
    }
}

package enum RunJSON {
    package static func run(_ run: RunRecord) -> JSONValue {
        .members(
            ("run", .string(run.id.description)), ("namespace", .string(run.namespace)), ("workflow", .string(run.workflow)),
            ("version", .string(run.version)), ("key", run.key.map(JSONValue.string)), ("state", .string(run.stateName)),
            ("continued_as", run.successor.map { .string($0.description) }), ("started_at", JSONValue(time: run.createdAt)),
            ("closed_at", run.closedAt.map(JSONValue.init(time:))),
            ("expired_at", (run.tombstone?.expiredAt).map(JSONValue.init(time:))),
            ("wakes_at", run.wakeAt.map(JSONValue.init(time:))), ("note", run.note.map(JSONValue.string)))
    }

    static func node(_ node: NodeRegistration) -> JSONValue {
        .members(
            ("node", .string(node.id.rawValue)), ("process", JSONValue(Int(node.processID))), ("host", .string(node.host)),
            ("build", .string(node.build)),
            ("hosted", .array(node.hosted.map { .array([.string($0.workflow), .string($0.version)]) })))
    }

    package static func standing(_ node: NodeStanding) -> JSONValue {
        var object = self.node(node.registration).objectValue ?? JSONObject()
        object["since"] = JSONValue(time: node.since)
        object["runs"] = JSONValue(node.ownedRuns)
        if let renewed = node.renewedAt { object["renewed_at"] = JSONValue(time: renewed) }
        object["overdue"] = .bool(node.isOverdue)
        if node.isAwaited { object["awaited"] = true }
        return .object(object)
    }

    package static func version(_ version: VersionInfo) -> JSONValue {
        let runs = version.runs.sorted { $0.key < $1.key }.map { ($0.key, JSONValue($0.value)) }
        return .members(
            ("workflow", .string(version.workflow)), ("version", .string(version.version.description)),
            ("open", JSONValue(version.openRuns)), ("runs", .object(JSONObject(runs))), ("hosted", .bool(version.isHosted)),
            ("takes_new_runs", .bool(version.takesNewRuns)), ("stranded", .bool(version.isStranded)),
            ("drained", .bool(version.isDrained)))
    }

    package static func attempts(_ report: AttemptReport) -> JSONValue {
        .members(
            ("workflow", .string(report.workflow)), ("closed", JSONValue(report.closed)),
            ("at_first_attempt", JSONValue(report.atFirstAttempt)),
            ("rate", report.firstAttemptRate.map { .number($0) } ?? .null), ("failed_attempts", JSONValue(report.failedAttempts)),
            ("failed_by_engine", JSONValue(report.failedByEngine)), ("unread", JSONValue(report.unread)))
    }

    static func rehearsal(_ rehearsal: RunRehearsal) -> JSONValue {
        let record = rehearsal.record
        let ends = rehearsal.uncleanEnds.map { end in
            JSONValue.members(
                ("seq", end.seq.map(JSONValue.integer)), ("at", end.at.map(JSONValue.init(time:))), ("build", .string(end.build)),
                ("heir", .string(end.heir)), ("asked", .array(end.asked.map(JSONValue.string))))
        }
        return .members(
            ("run", .string(record.id.description)), ("workflow", .string(record.workflow)), ("version", .string(record.version)),
            ("state", .string(record.state.rawValue)), ("verdict", .string(CheckText.word(rehearsal.verdict))),
            ("message", CheckText.message(rehearsal.verdict, record).map(JSONValue.string)), ("unclean_ends", .array(ends)))
    }

    package static func event(_ event: Event) -> JSONValue {
        let attributes = (try? event.attributes.object()).map(JSONValue.object) ?? .string(event.attributes.text)
        return .members(
            ("seq", .integer(event.seq)), ("at", JSONValue(time: event.at)), ("kind", .string(event.kind.rawValue)),
            ("subject", .string(event.subject)), ("attributes", attributes), ("input", ValueText.json(event.input)),
            ("output", ValueText.json(event.output)), ("hash", .string(event.hash.description)))
    }

    package static func explanation(_ record: RunRecord, _ explanation: RunExplanation) -> JSONValue {
        let moves = explanation.moves.map { move in
            JSONValue.members(
                ("command", .array(move.command.map(JSONValue.string))), ("meaning", .string(move.meaning)))
        }
        return .members(
            ("run", .string(record.id.description)), ("state", .string(record.stateName)),
            ("sentences", .array(explanation.sentences.map(JSONValue.string))), ("moves", .array(moves)))
    }

    static func waiting(_ item: WaitingItem) -> JSONValue {
        .members(
            ("kind", .string(item.kind)), ("run", .string(item.run)), ("workflow", .string(item.workflow)),
            ("subject", .string(item.subject)), ("details", .string(item.details)),
            ("approver", item.approver.map(JSONValue.string)),
            ("digest", item.digest.map(JSONValue.string)), ("expires_at", item.expires.map(JSONValue.init(time:))))
    }

    package static func approval(_ approval: PendingApproval) -> JSONValue {
        .members(
            ("run", .string(approval.run.description)), ("step", .string(approval.step)),
            ("view", try? JSONValue.parse(Array(approval.view), what: "the view")), ("digest", .string(approval.digest)),
            ("approver", .string(approval.approver)))
    }

    package static func report(_ record: RunRecord, _ report: HistoryVerifier.Report) -> JSONValue {
        let problems = report.problems.map { problem in
            JSONValue.members(
                ("seq", problem.seq.map(JSONValue.integer)), ("rule", .string(problem.rule.rawValue)),
                ("message", .string(problem.message)))
        }
        return .members(
            ("run", .string(record.id.description)), ("events", JSONValue(report.eventCount)), ("sound", .bool(report.isSound)),
            ("proven_once", .bool(report.isProvenOnce)), ("resumed_safely", .bool(report.isResumedSafely)),
            ("takeovers", JSONValue(report.takeovers)), ("closed", .bool(report.isClosed)),
            ("closed_cleanly", .bool(report.isClosedCleanly)), ("expired_after", report.expiredAfter.map(JSONValue.integer)),
            ("problems", .array(problems)))
    }
}
