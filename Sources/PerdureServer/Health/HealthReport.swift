internal import Foundation
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
package import PerdureHistory

/// What the health page says: a pure function of what is known and the time.
package struct HealthReport: Sendable {
    package enum Status: String, Sendable {
        case ok
        /// It works, and somebody should look.
        case degraded
        /// It cannot do its work now.
        case unavailable
    }

    /// A store that has not answered for longer is taken for away, whatever it said last.
    package static let silence = Duration.seconds(30)
    private static let lateSchedules = Duration.seconds(60), clockLimit = Duration.seconds(5)
    private static let mostFindings = 20

    private let board: HealthBoard.State
    private let configuration: ServeConfiguration
    private let begun: Timestamp
    private let now: Timestamp
    private let upkeep: Upkeep.State

    /// - Parameters:
    ///   - begun: When the process has begun, as `now` on this machine's clock.
    package init(_ board: HealthBoard.State, _ configuration: ServeConfiguration, since begun: Timestamp, now: Timestamp) {
        self.board = board
        self.configuration = configuration
        self.begun = begun
        self.now = now
        upkeep = board.upkeep?.state ?? Upkeep.State()
    }

    /// Why nothing can be done now; nil if it can.
    package var obstacle: String? {
        if board.phase == .ending { return "The process ends." }
        if let problem = board.store.problem { return "The store cannot be used: \(problem)" }
        guard board.phase == .serving, let answered = board.store.answeredAt else { return "The store is being opened." }
        let age = now.duration(since: answered)
        return age > Self.silence ? "The store has not answered for \(age.components.seconds) s." : nil
    }

    package var status: Status { obstacle != nil ? .unavailable : complaints.isEmpty ? .ok : .degraded }

    /// What somebody should look at.
    package var complaints: [String] {
        var complaints: [String] = []
        if let loss = board.store.loss {
            complaints.append(
                "The store's history went back (\(loss)); nothing is begun until `perdure recover --restored` was run.")
        }
        if !upkeep.findings.isEmpty {
            complaints.append("\(Self.count(upkeep.findings.count, "history does", "histories do")) not hold together.")
        }
        if board.quarantined > 0 {
            complaints.append("\(Self.count(board.quarantined, "run is", "runs are")) quarantined.")
        }
        for version in board.stranded {
            complaints.append("\(version.workflow) \(version.version) is stranded: \(version.openRuns) open.")
        }
        if board.store.schedulesLate > Self.lateSchedules {
            complaints.append("Schedules are late by \(board.store.schedulesLate.components.seconds) s.")
        }
        if upkeep.leftOut > 0 {
            complaints.append(
                "Verification is late by a round, and has left out \(Self.count(Int(upkeep.leftOut), "part", "parts")) of it: it needs a "
                    + "higher rate or longer rounds.")
        }
        if abs(board.store.clockDifference.microseconds) > Self.clockLimit.microseconds {
            complaints.append(
                "The clocks of this machine and of the store differ by \(Self.seconds(board.store.clockDifference)) s.")
        }
        for (work, name) in Self.names {
            if let problem = upkeep.work[work]?.problem { complaints.append("\(name): \(problem)") }
        }
        return complaints
    }

    private static let names: [(Upkeep.Work, String)] = [
        (.schedules, "Schedules"), (.retention, "Retention"), (.archive, "Archive"), (.verification, "Verification"),
    ]

    private static func count(_ number: Int, _ one: String, _ many: String) -> String { "\(number) \(number == 1 ? one : many)" }

    // MARK: As JSON

    /// `GET /health/live`.
    package static let live = JSONValue.object(JSONObject([("status", "live")]))

    /// `GET /health/ready`.
    package var readiness: JSONValue {
        Self.object([("ready", .bool(obstacle == nil)), ("reason", obstacle.map(JSONValue.string))])
    }

    /// `GET /health`.
    package var details: JSONValue {
        Self.object([
            ("status", .string(status.rawValue)), ("reason", obstacle.map(JSONValue.string)),
            ("complaints", .array(complaints.map(JSONValue.string))), ("since", .string(begun.description)),
            ("at", .string(now.description)), ("name", configuration.node.map(JSONValue.string)),
            ("node", board.node.map(JSONValue.string)), ("store", store), ("schedules", schedules), ("retention", retention),
            ("archive", archive), ("verification", verification),
            (
                "stranded",
                .array(
                    board.stranded.map {
                        Self.object([
                            ("workflow", .string($0.workflow)), ("version", .string($0.version.description)),
                            ("open", JSONValue($0.openRuns)),
                        ])
                    })
            ),
        ])
    }

    private var store: JSONValue {
        let answered = board.store.answeredAt
        return Self.object([
            ("place", .string(configuration.store.description)), ("reachable", .bool(obstacle == nil || board.phase == .ending)),
            ("answered_at", answered.map { .string($0.description) }),
            ("answered_ago_s", answered.map { Self.number(now.duration(since: $0)) }),
            ("clock_difference_s", answered.map { _ in Self.number(board.store.clockDifference) }),
            ("problem", board.store.problem.map(JSONValue.string)), ("quarantined", JSONValue(board.quarantined)),
        ])
    }

    private var schedules: JSONValue {
        Self.object([("late_s", Self.number(board.store.schedulesLate))] + standing(.schedules))
    }

    private var retention: JSONValue {
        Self.object(
            [
                // On a database also what is set for namespaces.
                ("state", configuration.store.isShared ? "on" : "left_to_the_host"),
                ("expired", JSONValue(upkeep.expired)), ("tombstones_removed", JSONValue(upkeep.removedTombstones)),
            ] + standing(.retention))
    }

    private var archive: JSONValue {
        let isOn = configuration.archiveFolder != nil && configuration.store.isShared
        return Self.object(
            [("state", isOn ? "on" : "off"), ("archived", JSONValue(upkeep.archived))] + standing(.archive))
    }

    private var verification: JSONValue {
        // The newest findings say least: what broke first comes first.
        let findings = upkeep.findings.values.sorted { ($0.at, $0.number) < ($1.at, $1.number) }.prefix(Self.mostFindings)
        return Self.object(
            [
                ("state", configuration.verificationRate == 0 ? "off" : "on"), ("verified", JSONValue(upkeep.verified)),
                ("part", upkeep.round.map { .integer($0.part + 1) }), ("parts", upkeep.round.map { .integer($0.parts) }),
                ("behind_s", Self.number(upkeep.behind)), ("broken", JSONValue(upkeep.findings.count)),
                (
                    "findings",
                    .array(
                        findings.map { finding in
                            Self.object([
                                ("run", finding.run.map { .string($0.description) }), ("number", .integer(finding.number)),
                                ("event", finding.seq.map(JSONValue.integer)), ("rule", .string(finding.rule.rawValue)),
                                ("message", .string(finding.message)), ("found_at", .string(finding.at.description)),
                            ])
                        })
                ),
            ] + standing(.verification))
    }

    private func standing(_ work: Upkeep.Work) -> [(String, JSONValue?)] {
        let standing = upkeep.work[work]
        return [
            ("done_at", (standing?.doneAt).map { .string($0.description) }),
            ("problem", (standing?.problem).map(JSONValue.string)),
        ]
    }

    private static func number(_ duration: Duration) -> JSONValue { .number(Double(duration.microseconds / 1_000) / 1_000) }
    private static func seconds(_ duration: Duration) -> String { String(Double(duration.microseconds / 1_000) / 1_000) }

    /// Members without a value are left out.
    private static func object(_ members: [(String, JSONValue?)]) -> JSONValue {
        .object(JSONObject(members.compactMap { name, value in value.map { (name, $0) } }))
    }
}
