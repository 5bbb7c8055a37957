internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension CommitGroup {
    private static let consume = SQL(
        "UPDATE inbox SET consumed = 1, payload = NULL WHERE number = ?1 AND run = ?2 AND consumed = 0")
    private static let isOfRun = SQL("SELECT 1 FROM inbox WHERE number = ?1 AND run = ?2")

    func advance(_ advance: RunAdvance, _ session: Session) throws -> CommitResult {
        guard let gate = try session.gate(advance.run) else { return .refused(.runUnknown) }
        guard isEngine, gate.state == .running, let owner = gate.owner, owner == node, gate.epoch == advance.epoch,
            gate.seq == advance.head.seq, gate.hash == advance.head.hash
        else {
            return try wasApplied(advance, gate, session) ? .advanced : .refused(.conflict)
        }
        if let refusal = try refusal(advance, gate, session) { return .refused(refusal) }

        try session.append(advance.events, to: advance.run)
        try consume(advance, session)
        for take in advance.takes { try session.take(take, holder: gate.id) }
        // Before what it sends: a message must not land in the inbox of a run that this very commit closes.
        if let transition = advance.transition { try session.move(advance.run, transition, now: now) }
        for settlement in advance.settles { try session.settle(settlement, holder: gate.id, now: now) }
        // What is addressed to a run that is gone has nobody to be told to; it does not undo the sender's own progress.
        for delivery in advance.deliveries { _ = try session.deliver(delivery, now: now) }
        return .advanced
    }

    /// Everything an advance can be refused for, before anything of it is written.
    private func refusal(_ advance: RunAdvance, _ gate: RunGate, _ session: Session) throws -> CommitRefusal? {
        if let first = advance.events.first {
            guard first.seq == gate.seq + 1, Session.areInSequence(advance.events) else {
                return .invalid("the events do not follow event \(gate.seq)")
            }
        }
        if let transition = advance.transition {
            if transition.state == .blocked, transition.blockedBuild == nil {
                return .invalid("a blocked run needs the build that it is blocked for")
            }
            if transition.state.isFinal {
                let consumed = Set(advance.consumed)
                let unread = try session.inbox(of: advance.run).filter { !consumed.contains($0.number) }
                if !unread.isEmpty { return .unreadInbox(unread) }
            }
        }
        for take in advance.takes {
            if let holder = try session.obstacle(to: take, by: gate.id) { return .businessKeyTaken(holder) }
        }
        return nil
    }

    private func consume(_ advance: RunAdvance, _ session: Session) throws {
        for number in advance.consumed {
            if try session.execute(Self.consume, number, advance.run) == 1 { continue }
            // A repeat of a commit without events finds its rows read already; with events, somebody else has read them.
            guard advance.events.isEmpty, try session.exists(Self.isOfRun, number, advance.run) else {
                throw BadRow("inbox row \(number) is not an unread one of run number \(advance.run)")
            }
        }
    }

    /// Whether this very advance was made durable before, and only its answer got lost.
    private func wasApplied(_ advance: RunAdvance, _ gate: RunGate, _ session: Session) throws -> Bool {
        if let last = advance.events.last {
            // The run may have gone on since. The hash covers everything before it.
            return try session.hash(of: advance.run, seq: last.seq) == last.hash
        }
        guard let transition = advance.transition, gate.epoch == advance.epoch, gate.hash == advance.head.hash,
            gate.seq == advance.head.seq
        else { return false }
        return gate.state == transition.state && gate.wakeAt == transition.wakeAt
    }
}
