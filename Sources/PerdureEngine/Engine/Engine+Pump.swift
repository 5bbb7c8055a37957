import CoreMetrics
import Foundation
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

// Finding work in the store and bringing runs into memory.
extension Engine {
    private static let claimLimit = 512
    /// How many events make a history a long one, and how many short ones are read at once.
    private static let shortHistory: Int64 = 100, readTogether = 64

    var services: ActivationServices {
        ActivationServices(
            store: store, journal: journal, registry: registry, runtime: configuration.runtime, threads: threads,
            watchdog: watchdog, scheduler: scheduler,
            resources: resources, clock: clock,
            random: configuration.random, node: node, build: build, payloadLimit: configuration.payloadLimit, logger: logger,
            metrics: metrics, bodies: bodies, bodyExecutor: bodyExecutor,
            bodyWatch: configuration.bodyWatch, recovery: recovering, lease: lease, lead: lead, inboxes: inboxes,
            report: report,
            observe: { [weak self] activation, event in self?.observe(activation, event) })
    }

    var report: EventReport { EventReport(logger: logger, metrics: metrics) }

    private var hosted: [ClaimRequest.Hosted] {
        registry.all.map { ClaimRequest.Hosted(workflow: $0.name, version: $0.version.description) }
    }

    /// Claims and wakes, whenever something rings, until its task is cancelled.
    func pump() async {
        let services = services
        // Said once for as long as it lasts: messages and the end of other runs ring in between.
        var isCutOff = false, awaited: [NodeID] = []
        await withDiscardingTaskGroup { group in
            for await _ in bell.rings {
                if Task.isCancelled { break }
                do {
                    // In this order: a run that is given up between the two is found by the claim, message and all.
                    try await readInboxes()
                    let begin = clock.now()
                    let hasClaimed = try await claimAll(services, into: &group)
                    try await schedulePump(afterVainLookAt: hasClaimed ? nil : begin)
                    if isCutOff { logger.notice("the store can be asked for work again") }
                    (isCutOff, awaited) = (false, [])
                } catch StoreError.awaitsNodes(let nodes) {
                    if nodes != awaited { AwaitedNodes.tell(nodes, logger) }
                    awaited = nodes
                    scheduler.schedule(after: .milliseconds(200)) { [bell] in bell.ring() }
                } catch {
                    if !isCutOff {
                        logger.error("the store cannot be asked for work; asking again", metadata: ["error": "\(error)"])
                    }
                    isCutOff = true
                    scheduler.schedule(after: .milliseconds(200)) { [bell] in bell.ring() }
                }
            }
        }
    }

    /// Returns whether there was anything.
    private func claimAll(
        _ services: ActivationServices, into group: inout DiscardingTaskGroup
    ) async throws(StoreError) -> Bool {
        var hasClaimed = false
        while true {
            let (limit, ahead) = state.withLock { state in
                let room = configuration.activeRuns - state.table.ownedCount - state.loading
                // Noted together with the look: a run that leaves in between would ring for nobody.
                state.isSaturated = room <= 0
                // Taken before the store is asked, so that runs started meanwhile do not take the same room.
                state.loading += max(0, min(Self.claimLimit, room))
                // Where room is short it is for what is due.
                state.claimsAhead = 2 * room > configuration.activeRuns
                return (min(Self.claimLimit, room), state.claimsAhead ? lead.span : .zero)
            }
            defer { state.withLock { $0.loading -= max(0, limit) } }
            guard limit > 0, !Task.isCancelled else { return hasClaimed }
            let claimed = try await store.claim(
                ClaimRequest(node: node, build: build, hosted: hosted, limit: limit, ahead: ahead))
            noteHold(claimed.isHeld)
            for run in claimed.setAside { wasSetAside(run.id, run.reason) }
            let unread = claimed.runs.filter { claim in !takeResident(claim) }
            load(unread, services, into: &group)
            let count = claimed.runs.count + claimed.setAside.count
            if count > 0 { hasClaimed = true }
            if count < limit {
                recovering.foundAll()
                return hasClaimed
            }
        }
    }

    /// The store's history went back, or was recovered. Nobody rings while it is held, so it is looked at again.
    private func noteHold(_ isHeld: Bool) {
        let wasHeld = state.withLock { state in
            defer { state.isHeld = isHeld }
            return state.isHeld
        }
        if isHeld { scheduler.schedule(after: .seconds(1)) { [bell] in bell.ring() } }
        if isHeld == wasHeld { return }
        if isHeld {
            logger.critical(
                "the store's history went back; nothing is begun until it is recovered",
                metadata: ["run": "perdure recover --restored"])
        } else {
            logger.notice("the store's history is recovered; runs go on")
            schedules.bell.ring()
        }
    }

    /// Returns whether the run is in memory, and goes on there; otherwise it has to be read, and has its room.
    private func takeResident(_ claim: ClaimedRun) -> Bool {
        if claim.isTakeover {
            metrics.takeovers.increment()
            recovering.tookOver(claim.record.number)
        }
        if claim.record.queue != nil { admissions.noteQueue() }
        let resident = state.withLock { state -> Activation? in
            // What is left here was read under an earlier owner; what is unread is read again.
            state.rowsForLoading[claim.record.number] = nil
            guard let resident = state.table[claim.record.number] else { return nil }
            if claim.isTakeover || resident.stands(on: claim.head) == false {
                state.table.remove(resident)
                resident.post(.leave)
                return nil
            }
            state.table.own(resident, epoch: claim.record.epoch)
            return resident
        }
        if let resident {
            resident.post(.claimed(claim))
            return true
        }
        state.withLock { $0.loading += 1 }
        return false
    }

    /// Runs with short histories are read together; a long one must not hold up others.
    private func load(_ claims: [ClaimedRun], _ services: ActivationServices, into group: inout DiscardingTaskGroup) {
        let most = min(Self.shortHistory, Int64(configuration.historyPage))
        let short = claims.filter { $0.head.seq <= most }, long = claims.filter { $0.head.seq > most }
        for start in stride(from: 0, to: short.count, by: Self.readTogether) {
            let batch = Array(short[start..<min(start + Self.readTogether, short.count)])
            group.addTask { [self] in
                let now = clock.now()
                // What cannot be read together is read alone, and its error told then.
                let read = try? await store.beginnings(of: batch.map(\.record.number), limit: Int(most))
                for claim in batch {
                    let begun = read?[claim.record.number].map { BegunReading(at: now, beginning: $0) }
                    await loadOne(claim, services, begun)
                }
            }
        }
        for claim in long { group.addTask { [self] in await loadOne(claim, services, nil) } }
    }

    private func loadOne(_ claim: ClaimedRun, _ services: ActivationServices, _ begun: BegunReading?) async {
        do throws(StoreError) {
            try await load(claim, services, begun: begun)
            noteRecovery(of: claim)
        } catch {
            cannotLoad(claim, error)
        }
        giveRoomBack()
    }

    /// A run that is not in memory after it was read is looked after without its code. One that was taken over and read later, after it
    /// could not be read at first, moves as soon as it is there.
    func noteRecovery(of claim: ClaimedRun) {
        let (isRunning, isInMemory) = state.withLock { ($0.phase == .running, $0.table[claim.record.number] != nil) }
        if isRunning, !isInMemory { recovering.isHeldBack(claim.record.number) }
        if isInMemory, !claim.isTakeover { recovering.moves(claim.record.number) }
    }

    /// Ends the reservation for a run that is in memory by now, or will not be; then nothing else tells that there is room.
    func giveRoomBack() {
        let isSaturated = state.withLock { state in
            state.loading -= 1
            return state.isSaturated
        }
        checkDrained()
        if isSaturated { bell.ring() }
    }

    /// The run is owned but not in memory: it is given back, or, if the store does not even take that, found again at the next start.
    private func cannotLoad(_ claim: ClaimedRun, _ error: StoreError) {
        logger.error("a run cannot be read", metadata: ["run": "\(claim.record.id)", "error": "\(error)"])
        let advance = RunAdvance(
            run: claim.record.number, epoch: claim.record.epoch, head: claim.head, events: [], transition: claim.restoring)
        beginGivingBack()
        scheduler.schedule(after: .seconds(1)) { [self] in
            journal.submit(.advance(advance)) { [self] result in
                switch result {
                case .advanced, nil: bell.ring()
                // Something of it was committed before it could not be read any further.
                default: reload(claim.record.id)
                }
                endGivingBack()
            }
        }
    }

    // MARK: Messages to runs that are owned

    private func readInboxes() async throws(StoreError) {
        while true {
            let last = state.withLock { $0.lastInboxRow }
            let page = try await store.inbox(ownedBy: node, after: last, limit: InboxPage.limit)
            guard let newest = page.rows.last?.number else { return }
            // One piece of mail for each run, however much has come for it.
            var rows: [Int64: [InboxRow]] = [:]
            for row in page.rows { rows[row.run, default: []].append(row) }
            for (run, rows) in rows.sorted(by: { $0.key < $1.key }) {
                let resident = state.withLock { state -> Activation? in
                    if let resident = state.table[run] { return resident }
                    state.rowsForLoading[run, default: LateRows()].add(rows)
                    return nil
                }
                resident?.post(.rows(rows))
                // It may be on its way into memory and gets its rows there, or has just left: then it has to be claimed anew.
                if resident == nil { bell.ring() }
            }
            state.withLock { $0.lastInboxRow = max($0.lastInboxRow, newest) }
            if !page.hasMore { return }
        }
    }

    // MARK: Time

    /// - Parameter look: When it was looked for work, if there was none.
    private func schedulePump(afterVainLookAt look: Timestamp?) async throws(StoreError) {
        // What is due cannot be taken now; whatever leaves memory rings.
        if state.withLock({ $0.isSaturated }) { return }
        let next = try await store.nextWake(hosted: hosted)
        let pause = state.withLock { state -> Duration? in
            guard let next, let look, lookTime(for: next, ahead: state.claimsAhead) <= look else {
                state.vainLooks = 0
                return nil
            }
            state.vainLooks += 1
            return min(.seconds(1), .milliseconds(10 << min(state.vainLooks - 1, 7)))
        }
        if let pause { lookAgain(after: pause) } else if let next { ringLater(at: next) }
    }

    /// Something was due and not there to be claimed: the store decides by a time that is behind the one that it tells here, or somebody
    /// has just given it up. It is looked for without haste, or the store would be asked as fast as it can answer.
    private func lookAgain(after pause: Duration) {
        let isFirst = state.withLock { state in
            defer { state.isLookingAgain = true }
            return !state.isLookingAgain
        }
        guard isFirst else { return }
        scheduler.schedule(after: pause) { [weak self] in
            self?.state.withLock { $0.isLookingAgain = false }
            self?.bell.ring()
        }
    }

    /// Half a lead before it is due: with it comes what is due in the other half, in one claim.
    private func lookTime(for due: Timestamp, ahead: Bool) -> Timestamp {
        ahead ? due - lead.span / 2 : due
    }

    /// Has the pump look for what is due at that time.
    func ringLater(at due: Timestamp) {
        state.withLock { state in
            let time = lookTime(for: due, ahead: state.claimsAhead)
            if let scheduled = state.scheduledPump, scheduled <= time { return }
            state.scheduledPump = time
            // Set under the lock: of two threads that are here at once, the later time must not be the last to be set.
            scheduler.set(pumpAlarm, at: time) { [weak self] in self?.pumpIsDue() }
        }
    }

    /// The pump asks the store for the next time once more, so that nothing is lost by forgetting this one.
    private func pumpIsDue() {
        state.withLock { $0.scheduledPump = nil }
        bell.ring()
    }
}

extension Activation {
    /// Whether what is in memory is the history up to this event, and has heard that it was given up. Otherwise that news would come
    /// after the next claim, and be taken for the end of that one.
    func stands(on head: ChainHead) -> Bool {
        state.withLock { state in
            !state.isClosed && !state.isOwned && state.inFlight == nil && state.head.seq == head.seq
                && state.head.hash == head.hash
        }
    }
}
