internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// What of a run's row decides about who is woken by its messages.
struct WakePlace {
    let state: RunState
    let needsRetry: Bool
    let workflow: String
    let version: String
    let isAdmitted: Bool

    init(_ row: Statement, from column: Int32) throws(BadRow) {
        let name = try row.text(column)
        guard let state = RunState(rawValue: name) else { throw BadRow("the state '\(name)' of a run is unknown") }
        self.state = state
        needsRetry = try row.integer(column + 1) != 0
        workflow = try row.text(column + 2)
        version = try row.text(column + 3)
        isAdmitted = try row.integer(column + 4) != 0
    }

    func wake(by kind: InboxKind, name: String) -> Wake {
        state.wake(by: kind, name: name, needsRetry: needsRetry, isAdmitted: isAdmitted)
    }
}

// Which runs may be claimed because of unread messages. Kept beside the messages, so that those that wake nobody are never looked at.
extension Session {
    private static let add = SQL(
        """
        INSERT INTO wakes (run, workflow, version, host_at, anyone_at) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (run) DO UPDATE SET
            host_at = min(coalesce(host_at, excluded.host_at), coalesce(excluded.host_at, host_at)),
            anyone_at = min(coalesce(anyone_at, excluded.anyone_at), coalesce(excluded.anyone_at, anyone_at))
        """)
    private static let drop = SQL("DELETE FROM wakes WHERE run = ?1")
    private static let unreadKinds = SQL(
        "SELECT kind, min(name), min(at) FROM inbox WHERE run = ?1 AND consumed = 0 GROUP BY kind")
    private static let place = SQL("SELECT state, needs_retry, workflow, version, is_admitted FROM runs WHERE number = ?1")

    /// After a message was accepted.
    func addWake(of run: Int64, _ wake: Wake, _ place: WakePlace, at: Timestamp) throws {
        guard wake != .nobody else { return }
        try execute(Self.add, run, place.workflow, place.version, wake == .host ? at : nil, wake == .anyone ? at : nil)
    }

    /// After the run's state has changed: other messages may count now.
    func renewWake(of run: Int64) throws {
        try dropWake(of: run)
        // The empty name, if there is one, is the smallest: that is all the rule asks of it.
        let unread = try all(Self.unreadKinds, run) { (kind: try? $0.text(0), name: try? $0.text(1), at: try? $0.integer(2)) }
        guard !unread.isEmpty, let place = try first(Self.place, run, row: { try WakePlace($0, from: 0) }) else { return }
        for message in unread {
            // What cannot be is found when the inbox is read.
            guard let kind = message.kind.flatMap(InboxKind.init(rawValue:)) else { continue }
            let wake = place.wake(by: kind, name: message.name ?? "")
            try addWake(of: run, wake, place, at: Timestamp(microseconds: message.at ?? 0))
        }
    }

    /// After an owned run has read messages. It has a wake only if one of them needs no code.
    func renewWakeIfAny(of run: Int64) throws {
        if try dropWake(of: run) { try renewWake(of: run) }
    }

    @discardableResult
    func dropWake(of run: Int64) throws -> Bool { try execute(Self.drop, run) == 1 }
}
