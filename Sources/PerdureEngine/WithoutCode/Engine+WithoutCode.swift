import CoreMetrics
import Foundation
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

// Runs that are looked after without their code: it is not hosted, does not fit, ends its process, or is never to run again.
extension Engine {
    /// Whether the run's code may be brought in for this claim.
    func mayRun(_ claim: ClaimedRun, _ standing: RunStanding, _ rows: [InboxRow]) -> Bool {
        if claim.record.state == .terminated || standing.isPoisoned || standing.isPaused { return false }
        let isSuspect = claim.previous == .blocked || standing.isSuspect
        // One that has begun is no reason: code that is here and fits carries it on, and nobody else would.
        let isNews = { (row: InboxRow) in !standing.begunResets.contains(row.delivery.id) }
        if isSuspect, rows.contains(where: { $0.delivery.kind.makesStandstill && isNews($0) }) { return false }
        return !(wasBlocked(claim, standing) && standing.blockedBuilds.contains(build))
    }

    /// Whether the run is blocked for some build. After a death the row no longer tells; its history does.
    func wasBlocked(_ claim: ClaimedRun, _ standing: RunStanding) -> Bool {
        (claim.previous == .blocked || claim.isTakeover) && !standing.blockedBuilds.isEmpty
    }

    /// A person lets every build try again that the run is blocked for: what kept it from fitting may have passed.
    func unblock(_ claim: ClaimedRun, _ row: InboxRow) {
        let retry = EventDraft(.operatorAction, attributes: row.attributes(("action", .string("retry"))))
        giveBack(claim, [retry, EventDraft(.runUnblocked)], consumed: [row.number], to: RunTransition(to: .ready))
    }

    /// Takes in what needs no code and gives the run back.
    ///
    /// - Parameter hasMore: Whether there are unread messages beside these. A run that is to end takes them in first, a page at a time.
    func lookAfter(_ claim: ClaimedRun, _ rows: [InboxRow], hasMore: Bool) async throws(StoreError) {
        let subjects = Set(rows.filter { $0.delivery.kind == .resolve }.map(\.delivery.name))
        // What a reset means depends on all that was done.
        let isReset = rows.contains { $0.delivery.kind == .reset }
        var caretaker: Caretaker
        do throws(HistoryReader.Failure) {
            caretaker = try await read(claim, about: isReset ? nil : subjects)
            // One has begun, and was left in the middle.
            if !isReset, caretaker.view.resetting != nil { caretaker = try await read(claim, about: nil) }
        } catch {
            return try await cannotRead(claim, error)
        }
        var claim = claim, rows = rows, hasMore = hasMore
        while hasMore, caretaker.ending(by: rows) != nil {
            caretaker.decline(rows)
            guard try await commit(&caretaker, of: &claim) else { return reload(claim.record.id) }
            let page = try await store.inbox(run: claim.record.number, after: 0)
            hasMore = page.hasMore
            rows = try await withInterventions(page.rows, hasMore: hasMore, of: claim.record)
        }
        caretaker.take(rows)
        if caretaker.hasToUndo {
            let standing = caretaker.view.standing
            // Whoever undoes it without the code has taken its process down with it.
            if standing.chargedDeaths >= configuration.poisonLimit {
                return park(poisoned: claim, deaths: standing.deathsWithoutProgress)
            }
            // Where the code is here and fits, it undoes by itself, and goes on with everything else meanwhile. What the version has
            // become is in the row only when this is given back.
            let fits =
                registry.find(claim.record.workflow, claim.record.version) != nil && !standing.blockedBuilds.contains(build)
            if !fits, caretaker.version == nil { return try await undo(claim, caretaker) }
        } else {
            caretaker.letGo()
        }
        giveBack(
            claim, caretaker.events, consumed: caretaker.consumed, settles: caretaker.settles,
            deliveries: caretaker.deliveries, to: transition(of: claim, after: caretaker))
    }

    private func read(_ claim: ClaimedRun, about subjects: Set<String>?) async throws(HistoryReader.Failure) -> Caretaker {
        var caretaker = Caretaker(claim, about: subjects, registry: steps, now: store.now())
        var reader = historyReader(of: claim)
        while let page = try await reader.next() { caretaker.read(page) }
        return caretaker
    }

    /// Brings the run in without its code, to undo what is to be undone.
    private func undo(_ claim: ClaimedRun, _ caretaker: Caretaker) async throws(StoreError) {
        var claim = claim, caretaker = caretaker
        let duty = StandInDuty(steps: steps, held: caretaker.held, home: transition(of: claim, after: caretaker))
        let events = caretaker.events
        if !events.isEmpty || !caretaker.consumed.isEmpty {
            guard try await commit(&caretaker, of: &claim) else { return reload(claim.record.id) }
            report.tell(events, of: claim.record.id, workflow: claim.record.workflow)
        }
        let standing = caretaker.view.standing, deaths = standing.deathsWithoutProgress
        if standing.isSuspect {
            guard isTurn(ofStandIn: claim, deaths: deaths, home: duty.home), let (watched, _) = await admit(suspect: claim) else {
                return
            }
            claim = watched
        }
        let absent = RegisteredWorkflow(absent: claim.record.workflow, claim.record.version)
        guard let (activation, late) = bringIn(claim, absent, [], standing.resets, services, duty: duty) else {
            return clearSuspect(claim.record.number)
        }
        if standing.isSuspect { watch(activation, deaths: deaths) }
        let inbox = ReadInbox(InboxPage(rows: [], hasMore: false), at: clock.now())
        try await replay(claim, activation, inbox, late: late)
    }

    /// The first messages of a run, and behind them those that may concern it without its code.
    func withInterventions(_ rows: [InboxRow], hasMore: Bool, of record: RunRecord) async throws(StoreError) -> [InboxRow] {
        guard hasMore, let last = rows.last?.number else { return rows }
        var later = try await store.interventions(run: record.number).filter { $0.number > last }
        if !record.isAdmitted, let cancel = try await firstCancel(of: record.number, after: last) {
            later.append(cancel)
            later.sort { $0.number < $1.number }
        }
        return rows + later
    }

    private func firstCancel(of run: Int64, after number: Int64) async throws(StoreError) -> InboxRow? {
        var last = number
        while true {
            let page = try await store.inbox(run: run, after: last)
            if let cancel = page.rows.first(where: { $0.delivery.kind == .cancel }) { return cancel }
            guard page.hasMore, let end = page.rows.last?.number else { return nil }
            last = end
        }
    }

    /// Commits what the caretaker has come to, while the run stays owned. Returns whether the run is still this node's.
    private func commit(_ caretaker: inout Caretaker, of claim: inout ClaimedRun) async throws(StoreError) -> Bool {
        let advance = RunAdvance(
            run: claim.record.number, epoch: claim.record.epoch, head: claim.head, events: caretaker.events,
            consumed: caretaker.consumed, settles: caretaker.settles, deliveries: caretaker.deliveries)
        switch await journal.submit(.advance(advance)) {
        case .advanced?:
            claim.head = caretaker.head
            caretaker.forgetCommitted()
            return true
        case nil: throw .closed
        default: return false
        }
    }

    /// Back to where the run stood, unless it ended or can go on now as soon as there is code for it.
    private func transition(of claim: ClaimedRun, after caretaker: Caretaker) -> RunTransition {
        if let end = caretaker.end { return RunTransition(to: end) }
        if caretaker.isAfterEnd { return RunTransition(to: .terminated) }
        let standing = caretaker.view.standing
        if let pause = standing.pause { return RunTransition(to: .paused, note: pause.note, version: caretaker.version) }
        if standing.isPoisoned {
            return RunTransition(to: .parked, note: standing.parkedReason, needsRetry: true, version: caretaker.version)
        }
        if [.blocked, .paused].contains(claim.previous) || claim.isTakeover || caretaker.hasUnparked,
            let last = standing.blockedBuilds.last
        {
            let isBlockedHere = standing.blockedBuilds.contains(build)
            return RunTransition(to: .blocked, note: standing.blockedReason, blockedBuild: isBlockedHere ? build : last)
        }
        let goesOn =
            caretaker.hasResolved || caretaker.hasReset || caretaker.hasUnparked || caretaker.version != nil
            || [.running, .paused].contains(claim.previous)
        return goesOn ? RunTransition(to: .ready, version: caretaker.version) : claim.restoring
    }

    /// The history is sound as far as can be told, but not for this build to read. Nothing of it can be looked after either: its messages
    /// wait for a release that can.
    func setAside(_ claim: ClaimedRun, _ message: String) {
        switch claim.previous {
        case .blocked:
            // That a build does not fit is on record already.
            giveBack(
                claim, to: RunTransition(to: .blocked, note: claim.previousNote ?? message, blockedBuild: build), rings: false)
        case .terminated: giveBack(claim, to: RunTransition(to: .terminated), rings: false)
        default: block(claim, message)
        }
    }

    private func block(_ claim: ClaimedRun, _ message: String) {
        metrics.blocked.increment()
        logger.error("a run is blocked", metadata: ["run": "\(claim.record.id)", "reason": "\(message)"])
        let attributes: Attributes = [
            "build": .string(build), "reason": .string(Divergence.Kind.unreadable.rawValue), "message": .string(message),
        ]
        giveBack(
            claim, [EventDraft(.runBlocked, attributes: attributes)],
            to: RunTransition(to: .blocked, note: message, blockedBuild: build), rings: false)
    }

    // MARK: Giving back

    /// Ends the ownership of a run that is not brought into memory.
    func giveBack(
        _ claim: ClaimedRun, _ drafts: [EventDraft] = [], consumed: [Int64] = [], to transition: RunTransition, rings: Bool = true
    ) {
        var head = claim.head
        let events = head.append(contentsOf: drafts, run: claim.record.id.description, now: store.now())
        giveBack(claim, events, consumed: consumed, settles: [], deliveries: [], to: transition, rings: rings)
    }

    /// - Parameter rings: Whether to look for work at once: a message may have come meanwhile, when nobody else could take the run.
    private func giveBack(
        _ claim: ClaimedRun, _ events: [Event], consumed: [Int64], settles: [BusinessKeySettlement], deliveries: [Delivery],
        to transition: RunTransition, rings: Bool = true
    ) {
        let advance = RunAdvance(
            run: claim.record.number, epoch: claim.record.epoch, head: claim.head, events: events, transition: transition,
            consumed: consumed, settles: settles, deliveries: deliveries)
        beginGivingBack()
        journal.submit(.advance(advance)) { [self] result in
            defer { endGivingBack() }
            switch result {
            case .advanced?:
                report.tell(events, of: claim.record.id, workflow: claim.record.workflow)
                if transition.state.isFinal { wakeWaiters(of: claim.record.id) }
                let hasMail = state.withLock { $0.rowsForLoading.removeValue(forKey: claim.record.number) } != nil
                if hasMail || rings { bell.ring() }
                if claim.record.queue != nil { admissions.ringIfAny() }
                // Only now: a ring that came before the store knew of the time would have found nothing.
                if let wakeAt = transition.wakeAt { ringLater(at: wakeAt) }
            case nil:
                break
            case .refused(.invalid(let reason))?:
                // It would be refused again. The run stays with this node until that ends.
                logger.critical(
                    "the store cannot hold a run's record", metadata: ["run": "\(claim.record.id)", "reason": "\(reason)"])
            default:
                // More messages have come, or somebody else has the run.
                reload(claim.record.id)
            }
        }
    }
}

extension ClaimedRun {
    /// The way back to where the run stood before the claim.
    var restoring: RunTransition {
        switch previous {
        case .waiting, .parked, .paused, .blocked, .terminated:
            RunTransition(to: previous, wakeAt: previousWakeAt, note: previousNote)
        // One that is not admitted goes back to its line with that.
        case .queued, .ready, .running, .quarantined, .completed, .failed, .cancelled:
            RunTransition(to: .ready)
        }
    }
}
