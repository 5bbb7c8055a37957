internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// What a commit must find to be allowed: the run's row and the last event of its history.
struct RunGate {
    let id: RunID
    let state: RunState
    let epoch: Int64
    let owner: NodeID?
    let wakeAt: Timestamp?
    let seq: Int64
    let hash: EventHash
}

extension Session {
    private static let selectGate = SQL(
        """
        SELECT runs.id, runs.state, runs.epoch, runs.owner, runs.wake_at, events.seq, events.hash
        FROM runs JOIN events ON events.run = runs.number
        WHERE runs.number = ?1 ORDER BY events.seq DESC LIMIT 1
        """)
    private static let selectHash = SQL("SELECT hash FROM events WHERE run = ?1 AND seq = ?2")
    private static let updateState = SQL(
        """
        UPDATE runs SET state = ?2, owner = CASE WHEN ?2 = 'running' THEN owner END, wake_at = ?3, note = ?4, since = ?5,
            closed_at = CASE WHEN ?6 THEN ?5 END
        WHERE number = ?1
        """)
    private static let insertBlockedBuild = SQL("INSERT OR IGNORE INTO blocked_builds (run, build) VALUES (?1, ?2)")
    private static let deleteBlockedBuilds = SQL("DELETE FROM blocked_builds WHERE run = ?1")
    private static let deleteWaits = SQL("DELETE FROM business_key_waiters WHERE run = ?1")
    private static let deleteRequests = SQL("DELETE FROM open_requests WHERE run = ?1")
    private static let insertRequest = SQL("INSERT INTO open_requests (position, run, subject, kind) VALUES (?1, ?2, ?3, ?4)")
    private static let deleteRequest = SQL("DELETE FROM open_requests WHERE run = ?1 AND subject = ?2 AND kind = ?3")

    func gate(_ run: Int64) throws -> RunGate? {
        try first(Self.selectGate, run) { row in
            let id = try row.text(0)
            let state = try row.text(1)
            guard let id = RunID(id), let state = RunState(rawValue: state) else {
                throw BadRow("run number \(run): its id '\(id)' or its state '\(state)' is malformed")
            }
            return RunGate(
                id: id, state: state, epoch: try row.integer(2), owner: try row.optionalText(3).map(NodeID.init(rawValue:)),
                wakeAt: try row.optionalInteger(4).map(Timestamp.init(microseconds:)), seq: try row.integer(5),
                hash: try EventHash(row, 6))
        }
    }

    func hash(of run: Int64, seq: Int64) throws -> EventHash? {
        try first(Self.selectHash, run, seq) { try EventHash($0, 0) }
    }

    static func areInSequence(_ events: [Event]) -> Bool {
        zip(events, events.dropFirst()).allSatisfy { $1.seq == $0.seq + 1 }
    }

    /// Appends to the history and keeps the list of open requests, which is only a view of it.
    func append(_ events: [Event], to run: Int64) throws {
        for event in events {
            try event.insert(into: self, run: run)
            switch event.kind {
            case .approvalRequested, .questionAsked:
                try execute(Self.insertRequest, lastInsertedRow, run, event.subject, event.kind.rawValue)
            case .approvalDecided, .approvalExpired, .approvalCancelled, .approvalVoided:
                try execute(Self.deleteRequest, run, event.subject, EventKind.approvalRequested.rawValue)
            case .questionAnswered, .questionExpired, .questionCancelled:
                try execute(Self.deleteRequest, run, event.subject, EventKind.questionAsked.rawValue)
            default: break
            }
        }
    }

    /// Changes the run's row, and what hangs on its state.
    func move(_ run: Int64, _ transition: RunTransition, now: Timestamp) throws {
        let state = transition.state
        try execute(Self.updateState, run, state, transition.wakeAt, transition.note, now, state.isFinal)
        switch state {
        case .blocked:
            if let build = transition.blockedBuild { try execute(Self.insertBlockedBuild, run, build) }
        case .running: break
        default:
            // Some build has carried the run on; whether another one fits is an open question again.
            try execute(Self.deleteBlockedBuilds, run)
        }
        if state.isFinal { try forget(run) }
    }

    /// Drops what a closed run no longer waits for.
    func forget(_ run: Int64) throws {
        try execute(Self.deleteWaits, run)
        try execute(Self.deleteRequests, run)
    }
}
