internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// A run that somebody wants to advance.
struct GatedRun {
    let gate: RunGate
    let queue: QueueFacts
}

/// Whether a commit may go on top of a run's history.
enum RunGate {
    case open
    /// The run was terminated and is lent out for what may follow its end.
    case openAfterEnd
    /// Another owner, another epoch, or another last event.
    case shut
}

extension Session {
    // Compared by SQLite and as bytes: this runs for every advance, and nothing else of the row is needed.
    private static let selectGate = SQL(
        """
        SELECT runs.owner = ?2 AND runs.epoch = ?3 AND events.seq = ?4, events.hash, runs.closed_at IS NOT NULL,
            runs.queue, runs.is_admitted
        FROM runs JOIN events ON events.run = runs.number
        WHERE runs.number = ?1 ORDER BY events.seq DESC LIMIT 1
        """)
    private static let selectHash = SQL("SELECT hash FROM events WHERE run = ?1 AND seq = ?2")
    private static let updateState = SQL(
        """
        UPDATE runs SET state = ?2, owner = CASE WHEN ?2 = 'running' THEN owner END, wake_at = ?3, note = ?4, since = ?5,
            closed_at = CASE WHEN ?6 THEN coalesce(closed_at, ?5) END, needs_retry = ?7, version = coalesce(?8, version)
        WHERE number = ?1
        """)
    private static let insertBlockedBuild = SQL("INSERT OR IGNORE INTO blocked_builds (run, build) VALUES (?1, ?2)")
    private static let anyBlockedBuild = SQL("SELECT 1 FROM blocked_builds WHERE run = ?1")
    private static let deleteBlockedBuilds = SQL("DELETE FROM blocked_builds WHERE run = ?1")
    private static let deleteWaits = SQL("DELETE FROM business_key_waiters WHERE run = ?1")
    private static let deleteRequests = SQL("DELETE FROM open_requests WHERE run = ?1")
    private static let mark = SQL("INSERT OR REPLACE INTO marks (run, kind, subject, position) VALUES (?1, ?2, ?3, ?4)")
    private static let insertLabel = SQL("INSERT OR REPLACE INTO labels (run, name, value) VALUES (?1, ?2, ?3)")
    private static let deleteApprovals = SQL("DELETE FROM open_requests WHERE run = ?1 AND kind = 'approval.requested'")
    private static let insertRequest = SQL("INSERT INTO open_requests (position, run, subject, kind) VALUES (?1, ?2, ?3, ?4)")
    private static let deleteRequest = SQL("DELETE FROM open_requests WHERE run = ?1 AND subject = ?2 AND kind = ?3")

    /// - Returns: nil if there is no such run.
    func gate(_ run: Int64, node: NodeID?, epoch: Int64, head: ChainHead) throws -> GatedRun? {
        try first(Self.selectGate, run, node, epoch, head.seq) { row in
            let queue = QueueFacts(queue: try row.optionalInteger(3), isAdmitted: try row.integer(4) != 0)
            // Null if nobody owns the run.
            guard try row.optionalInteger(0) == 1,
                try row.withBytes(1, { stored in head.hash.withUnsafeBytes { stored.elementsEqual($0) } })
            else { return GatedRun(gate: Mutant.isOn("forget a fence") ? .open : .shut, queue: queue) }
            return GatedRun(gate: try row.integer(2) == 1 ? .openAfterEnd : .open, queue: queue)
        }
    }

    func hash(of run: Int64, seq: Int64) throws -> EventHash? {
        try first(Self.selectHash, run, seq) { try EventHash($0, 0) }
    }

    static func areInSequence(_ events: [Event]) -> Bool {
        zip(events, events.dropFirst()).allSatisfy { $1.seq == $0.seq + 1 }
    }

    /// Appends to the history and keeps what is only a view of it: open requests, marks, labels.
    func append(_ events: [Event], to run: Int64) throws {
        for event in events {
            try event.insert(into: self, run: run)
            let lastEventPosition = lastInsertedRow
            switch event.kind {
            case .approvalRequested, .questionAsked:
                try execute(Self.insertRequest, lastInsertedRow, run, event.subject, event.kind.rawValue)
            case .approvalDecided, .approvalExpired, .approvalCancelled, .approvalVoided:
                try execute(Self.deleteRequest, run, event.subject, EventKind.approvalRequested.rawValue)
            case .runRestored: try execute(Self.deleteApprovals, run)
            case .questionAnswered, .questionExpired, .questionCancelled:
                try execute(Self.deleteRequest, run, event.subject, EventKind.questionAsked.rawValue)
            case .labelsChanged: try label(run, event)
            case .runStarted where event.seq == 1: try label(run, event)
            default: break
            }
            try forgetHeartbeats(after: event, of: run)
            if event.kind.isMarked {
                let subject = event.kind.isMarkedOnce ? "" : event.subject
                try execute(Self.mark, run, event.kind.rawValue, subject, lastEventPosition)
            }
        }
    }

    /// Puts the labels that an event names in place of earlier ones of the same names.
    private func label(_ run: Int64, _ event: Event) throws {
        // Looked at for every run that starts, and few have any.
        guard event.attributes.text.contains("\"labels\""), let object = try? event.attributes.object(),
            let labels = object["labels"]?.objectValue
        else { return }
        for member in labels.members {
            if let value = member.value.stringValue { try execute(Self.insertLabel, run, member.key, value) }
        }
    }

    /// Changes the run's row, and what hangs on its state.
    ///
    /// - Parameter keepsPlace: its place in its queue is for the run that it is continued as.
    func move(_ run: Int64, _ transition: RunTransition, _ queue: QueueFacts, keepsPlace: Bool, now: Timestamp) throws {
        let state = transition.landing(isAdmitted: queue.isAdmitted)
        var wakeAt = transition.wakeAt
        if queue.queue != nil, !keepsPlace {
            if state.isFinal || state == .quarantined {
                try leave(run)
            } else if !queue.isAdmitted, state != .running {
                let deadline = try stand(run, inLine: state == .queued)
                wakeAt = state == .queued ? deadline : nil
            }
        }
        try execute(
            Self.updateState, run, state, wakeAt, transition.note, now, state.isFinal, transition.needsRetry,
            transition.version)
        // For the code of another version it is an open question whether it fits.
        if transition.version != nil { try execute(Self.deleteBlockedBuilds, run) }
        switch state {
        case .blocked:
            if let build = transition.blockedBuild { try execute(Self.insertBlockedBuild, run, build) }
        // A run that was blocked when it was paused is blocked again when it goes on.
        case .running, .paused: break
        default:
            // Some build has carried the run on; whether another one fits is an open question again.
            try execute(Self.deleteBlockedBuilds, run)
        }
        if state.isFinal { try forget(run) }
        try renewWake(of: run)
    }

    /// Whether the run is blocked for some build, be it that another one owns it at the moment.
    func isBlocked(_ run: Int64) throws -> Bool { try exists(Self.anyBlockedBuild, run) }

    /// Drops what a closed run no longer waits for.
    func forget(_ run: Int64) throws {
        try execute(Self.deleteWaits, run)
        try execute(Self.deleteRequests, run)
        try forgetHeartbeats(of: run)
    }
}
