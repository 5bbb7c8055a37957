import CoreMetrics
import Foundation
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

// From a claim to a run in memory: its history is verified, looked at, and fed page by page.
extension Engine {
    /// - Parameter begun: What was read of the run already, together with that of others.
    func load(
        _ claim: ClaimedRun, _ services: ActivationServices, begun: BegunReading? = nil
    ) async throws(StoreError) {
        let record = claim.record
        let standing: RunStanding, kept: [[Event]]?
        do throws(HistoryReader.Failure) {
            (standing, kept) = try await examine(claim, begun?.beginning.events)
        } catch {
            return try await cannotRead(claim, error)
        }
        let inbox = try await readInbox(record.number, begun)
        // What a person wants of the run may stand behind more than is read at once.
        let rows = try await withInterventions(inbox.rows, hasMore: inbox.hasMore, of: record)
        // Lent out from its place in a queue, for what needs no code.
        guard record.isAdmitted else { return try await lookAfter(claim, rows, hasMore: inbox.hasMore) }
        let deaths = standing.deathsWithoutProgress
        guard let workflow = registry.find(record.workflow, record.version) else {
            return try await lookAfter(claim, rows, hasMore: inbox.hasMore)
        }
        let isPoisonous = standing.chargedDeaths >= configuration.poisonLimit
        if !standing.isPaused, !standing.isPoisoned, wasBlocked(claim, standing),
            let retry = rows.first(where: { $0.isRetryOfRun && !standing.retries.contains($0.delivery.id) }),
            !rows.contains(where: { $0.delivery.kind == .terminate })
        {
            return unblock(claim, retry)
        }
        guard mayRun(claim, standing, rows) else { return try await lookAfter(claim, rows, hasMore: inbox.hasMore) }
        if isPoisonous { return park(poisoned: claim, deaths: deaths) }
        let patches = try await readPatches(record.number, begun).filter { !standing.resets.passesOver($0.seq) }.map(\.subject)
        var claim = claim, pages = kept
        if standing.isSuspect {
            guard isTurn(of: claim, deaths: deaths), let (watched, event) = await admit(suspect: claim) else { return }
            claim = watched
            pages?.append([event])
        }
        guard let (activation, late) = bringIn(claim, workflow, patches, standing.resets, services) else {
            return clearSuspect(record.number)
        }
        if standing.isSuspect { watch(activation, deaths: deaths) }
        guard let pages else { return try await replay(claim, activation, inbox, late: late) }
        for page in pages { activation.post(.history(page)) }
        activation.post(.caughtUp(isTakeover: claim.isTakeover, inbox.adding(late)))
    }

    private func readInbox(_ run: Int64, _ begun: BegunReading?) async throws(StoreError) -> ReadInbox {
        if let begun { return ReadInbox(begun.beginning.inbox, at: begun.at) }
        let now = clock.now()
        return ReadInbox(try await store.inbox(run: run, after: 0), at: now)
    }

    private func readPatches(_ run: Int64, _ begun: BegunReading?) async throws(StoreError) -> [Event] {
        if let begun { return begun.beginning.patches }
        return try await store.marked(.versionPatched, nil, in: run)
    }

    /// The history as it stood when the run was claimed.
    func historyReader(of claim: ClaimedRun, beginning: [Event]? = nil) -> HistoryReader {
        HistoryReader(
            store, claim.record, end: claim.head, limit: configuration.historyPage, beginning: beginning,
            runtime: configuration.runtime)
    }

    /// How much of a history is kept in memory between looking at it and feeding it. What is longer is read twice.
    private static let keptPages = 12, keptSize: Int64 = 16 << 20

    /// Verifies the whole history before any of its code runs. Gives its pages too, if that is not too much.
    private func examine(
        _ claim: ClaimedRun, _ beginning: [Event]?
    ) async throws(HistoryReader.Failure) -> (standing: RunStanding, pages: [[Event]]?) {
        var reader = historyReader(of: claim, beginning: beginning), standing = RunStanding()
        var pages: [[Event]]? = [], size: Int64 = 0
        while let page = try await reader.next() {
            for event in page {
                standing.add(event)
                size += event.valueSize
            }
            pages?.append(page)
            if let count = pages?.count, count > Self.keptPages || size > Self.keptSize { pages = nil }
        }
        return (standing, pages)
    }

    /// Brings in a run that was just started, to which nobody can have said anything yet.
    func activate(started claim: ClaimedRun, _ workflow: RegisteredWorkflow, _ events: [Event], _ services: ActivationServices) {
        guard let (activation, late) = bringIn(claim, workflow, [], [], services) else { return }
        activation.post(.history(events))
        let inbox = ReadInbox(InboxPage(rows: [], hasMore: false), at: claim.record.createdAt)
        activation.post(.caughtUp(isTakeover: false, inbox.adding(late)))
    }

    /// Feeds a long history. While one page is fed the next one is read, and no more than that is in memory. Each page is
    /// verified again: what was read before may have been changed since. Nothing is dispatched before the last one is fed.
    func replay(
        _ claim: ClaimedRun, _ activation: Activation, _ inbox: ReadInbox, late: LateRows
    ) async throws(StoreError) {
        do throws(HistoryReader.Failure) {
            var reader = historyReader(of: claim)
            var page = try await reader.next()
            while let events = page {
                let receipt = Receipt()
                activation.post(.history(events, receipt))
                page = try await reader.next()
                // It does not go on if history and code do not fit, or the engine ends: the activation has seen to that.
                guard await receipt.value else { return }
            }
        } catch {
            state.withLock { $0.table.remove(activation) }
            activation.post(.leave)
            return try await cannotRead(claim, error)
        }
        activation.post(.caughtUp(isTakeover: claim.isTakeover, inbox.adding(late)))
    }

    /// Takes the run into memory, with the messages that came while it was read; `nil` if the engine takes in nothing any more.
    func bringIn(
        _ claim: ClaimedRun, _ workflow: RegisteredWorkflow, _ patches: [String], _ resets: [ResetSpan],
        _ services: ActivationServices, duty: StandInDuty? = nil
    ) -> (Activation, late: LateRows)? {
        let activation = Activation(claim, workflow: workflow, patches: patches, resets: resets, services: services, duty: duty)
        let late = state.withLock { state -> LateRows? in
            let late = state.rowsForLoading.removeValue(forKey: claim.record.number) ?? LateRows()
            guard state.phase == .running else { return nil }
            state.table.own(activation, epoch: claim.record.epoch)
            return late
        }
        guard let late else {
            giveBack(claim, to: duty?.home ?? RunTransition(to: .ready))
            return nil
        }
        return (activation, late)
    }

    /// A history that does not hold together is set aside, one of a later release is blocked; a store that cannot be read is the
    /// caller's business.
    func cannotRead(_ claim: ClaimedRun, _ failure: HistoryReader.Failure) async throws(StoreError) {
        let record = claim.record
        switch failure {
        case .broken(let message):
            try await store.quarantine(record.number, reason: message)
            wasSetAside(record.id, message)
        // What waits in a queue cannot be blocked: it is given back, and looked at again after a pause.
        case .store(.unsupported(let message)) where record.isAdmitted:
            setAside(claim, "The history cannot be read by this release: \(message). Run it with the release that wrote it.")
        case .store(let error):
            throw error
        }
    }

    /// Tells of a run that is quarantined from now on.
    func wasSetAside(_ run: RunID?, _ reason: String) {
        metrics.quarantined.increment()
        logger.critical(
            "a run's history is broken; the run is quarantined",
            metadata: ["run": "\(run.map(\.description) ?? "unknown")", "error": "\(reason)"])
        if let run { wakeWaiters(of: run) }
        admissions.ringIfAny()
    }
}

/// The first unread messages of a run, as far as they are in memory.
struct ReadInbox: Sendable {
    var rows: [InboxRow]
    /// Whether there are others in the store behind them.
    var hasMore: Bool
    /// Every message that was accepted before this time is among the rows.
    var completeUntil: Timestamp

    /// - Parameter time: When it began to be read.
    init(_ page: InboxPage, at time: Timestamp) {
        rows = page.rows
        hasMore = page.hasMore
        completeUntil = page.hasMore ? min(time, page.rows.last.map { $0.at - .microseconds(1) } ?? .distantPast) : time
    }

    /// With what has come since. It is left out where others came before it that have not been read.
    func adding(_ late: LateRows) -> ReadInbox {
        guard !hasMore else { return self }
        var inbox = self
        inbox.rows += late.rows
        inbox.hasMore = late.hasMore
        return inbox
    }
}

/// What was read of a run before it is looked at, and when its inbox began to be read.
struct BegunReading {
    let at: Timestamp
    let beginning: RunBeginning
}

/// Says once, to one who waits, whether something went well.
final class Receipt: Sendable {
    private struct State {
        var value: Bool?
        var waiter: CheckedContinuation<Bool, Never>?
    }

    private let state = Mutex(State())

    func give(_ value: Bool) {
        state.withLock { state in
            state.value = value
            defer { state.waiter = nil }
            return state.waiter
        }?.resume(returning: value)
    }

    var value: Bool {
        get async {
            await withCheckedContinuation { continuation in
                let value = state.withLock { state in
                    if state.value == nil { state.waiter = continuation }
                    return state.value
                }
                if let value { continuation.resume(returning: value) }
            }
        }
    }
}
