internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension CommitGroup {
    private static let consume = SQL(
        "UPDATE inbox SET consumed = 1, payload = ?3 WHERE number = ?1 AND run = ?2 AND consumed = 0")
    private static let payload = SQL(
        """
        SELECT payload, salt FROM inbox JOIN runs ON runs.number = inbox.run
        WHERE inbox.number = ?1 AND run = ?2 AND consumed = 0
        """)
    private static let isOfRun = SQL("SELECT 1 FROM inbox WHERE number = ?1 AND run = ?2")

    func advance(_ advance: RunAdvance, _ session: Session) throws -> CommitResult {
        let found = try session.gate(advance.run, node: isEngine ? node : nil, epoch: advance.epoch, head: advance.head)
        guard let found else { return .refused(.runUnknown) }
        let gate = found.gate
        switch gate {
        case .open: break
        case .openAfterEnd:
            if let refusal = advance.refusalAfterEnd { return .refused(refusal) }
        case .shut: return try wasApplied(advance, session) ? .advanced : .refused(.conflict)
        }
        let touchesKeys = !advance.takes.isEmpty || !advance.settles.isEmpty
        let holder = touchesKeys ? try session.run(advance.run)?.id : nil
        if gate == .open, let flaw = advance.transition?.flaw(isAdmitted: found.queue.isAdmitted) {
            return .refused(.invalid(flaw))
        }
        if let refusal = try refusal(advance, holder, isAfterEnd: gate == .openAfterEnd, session) { return .refused(refusal) }

        try session.append(advance.events, to: advance.run)
        try consume(advance, session)
        if let holder {
            for take in advance.takes { try session.take(take, holder: holder) }
        }
        // Before what it sends: a message must not land in the inbox of a run that this very commit closes.
        if let transition = advance.transition {
            try session.move(advance.run, transition, found.queue, keepsPlace: advance.successor != nil, now: now)
        } else if !advance.consumed.isEmpty {
            try session.renewWakeIfAny(of: advance.run)
        }
        if let holder {
            for settlement in advance.settles {
                try session.settle(settlement, holder: holder, at: advance.lastSeq, now: now)
            }
        }
        if let successor = advance.successor { try start(successor, after: advance.run, found.queue, session) }
        // What is addressed to a run that is gone has nobody to be told to; it does not undo the sender's own progress.
        for child in advance.children { try start(child, session) }
        for delivery in advance.deliveries { _ = try session.deliver(delivery, now: now) }
        return .advanced
    }

    /// Everything an advance can be refused for, before anything of it is written.
    private func refusal(
        _ advance: RunAdvance, _ holder: RunID?, isAfterEnd: Bool, _ session: Session
    ) throws -> CommitRefusal? {
        if let first = advance.events.first {
            guard first.seq == advance.head.seq + 1, Session.areInSequence(advance.events) else {
                return .invalid("the events do not follow event \(advance.head.seq)")
            }
        }
        if let transition = advance.transition {
            if transition.state == .blocked, transition.blockedBuild == nil, try !session.isBlocked(advance.run) {
                return .invalid("a blocked run needs the build that it is blocked for")
            }
            // After the end more may come in at any time; it waits for the next claim.
            if transition.state.isFinal, !isAfterEnd {
                let consumed = Set(advance.consumed)
                if try session.unreadNumbers(of: advance.run).contains(where: { !consumed.contains($0) }) {
                    return .unreadInbox(try session.inbox(of: advance.run, except: consumed))
                }
            }
        }
        for child in advance.children {
            if let refusal = try refusal(of: child, session) { return refusal }
        }
        if let successor = advance.successor, let refusal = try refusal(of: successor, after: advance, session) { return refusal }
        guard let holder else { return nil }
        for take in advance.takes {
            if let record = try session.obstacle(to: take, by: holder) { return .businessKeyTaken(record) }
        }
        return nil
    }

    private func consume(_ advance: RunAdvance, _ session: Session) throws {
        for number in advance.consumed {
            let known = try session.first(Self.payload, number, advance.run) { row in
                KnownDelivery(payload: try row.optionalBytes(0), salt: try row.bytes(1))
            }
            if try session.execute(Self.consume, number, advance.run, known?.digest) == 1 { continue }
            // A repeat of a commit without events finds its rows read already; with events, somebody else has read them.
            guard advance.events.isEmpty, try session.exists(Self.isOfRun, number, advance.run) else {
                throw BadRow("inbox row \(number) is not an unread one of run number \(advance.run)")
            }
        }
    }

    /// Whether this very advance was made durable before, and only its answer got lost.
    func wasApplied(_ advance: RunAdvance, _ session: Session) throws -> Bool {
        if let last = advance.events.last {
            // The run may have gone on since. The hash covers everything before it.
            return try session.hash(of: advance.run, seq: last.seq) == last.hash
        }
        guard let transition = advance.transition, let row = try session.run(advance.run), row.epoch == advance.epoch,
            let head = try session.head(of: advance.run), head.seq == advance.head.seq, head.hash == advance.head.hash
        else { return false }
        return row.stands(as: transition)
    }
}
