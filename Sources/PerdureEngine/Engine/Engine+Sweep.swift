import CoreMetrics
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

// Verifying histories in the background: what was changed on disk is found also in runs that nobody wakes.
extension Engine {
    private static let pauseBetweenRounds = Duration.seconds(3_600)
    private static let pauseAfterFailure = Duration.seconds(60)
    private static let runsAtOnce = 100
    /// A longer history is checked by its chain only: the rules need memory for each step.
    private static let ruleLimit = 100_000
    /// How many bytes of values count as much as an event.
    private static let bytesPerEvent: Int64 = 4_096

    /// Goes through all runs, the newest first, round after round until its task is cancelled. Where it is, is kept in memory only.
    func sweep() async {
        guard configuration.verificationRate > 0 else { return }
        if let round = configuration.verificationRound { return await keepRounds(round) }
        var last: Int64?, budget = 0
        while await spend(1, &budget) {
            do {
                let page = try await store.runNumbers(before: last, limit: Self.runsAtOnce)
                for number in page {
                    guard try await lookOrPassOver(number, &budget) else { return }
                    last = number
                }
                noteVerification()
                guard page.isEmpty else { continue }
                last = nil
                guard await pause(Self.pauseBetweenRounds) else { return }
            } catch {
                cannotVerify(error)
                guard await pause(Self.pauseAfterFailure) else { return }
            }
        }
    }

    /// Says it once, for as long as it lasts.
    func cannotVerify(_ error: StoreError) {
        guard upkeep.failed(.verification, error) else { return }
        logger.error("histories cannot be verified now", metadata: ["error": "\(error)"])
    }

    func noteVerification() {
        if upkeep.succeeded(.verification, at: store.now()) { logger.notice("histories can be verified again") }
    }

    /// Keeps to the rate. Returns whether the sweep goes on.
    func spend(_ events: Int, _ budget: inout Int) async -> Bool {
        budget -= events
        while budget < 0 {
            guard await pause(.seconds(1)) else { return false }
            budget += configuration.verificationRate
        }
        return true
    }

    /// A run that cannot be read, today or with this release, keeps no other from being looked at.
    func lookOrPassOver(_ number: Int64, _ budget: inout Int) async throws(StoreError) -> Bool {
        do throws(StoreError) {
            return try await look(at: number, &budget)
        } catch {
            switch error {
            case .corrupt(let message):
                metrics.broken.increment()
                if upkeep.found(.init(number: number, run: nil, seq: nil, rule: .row, message: message, at: store.now())) {
                    logger.critical("a run's row cannot be read", metadata: ["run_number": "\(number)", "error": "\(message)"])
                }
            case .unsupported(let message):
                logger.notice(
                    "a history cannot be verified by this release", metadata: ["run_number": "\(number)", "error": "\(message)"])
            case .unavailable, .awaitsNodes, .outcomeUnknown, .unusable, .leaseLost, .closed: throw error
            }
            return await spend(1, &budget)
        }
    }

    private func look(at number: Int64, _ budget: inout Int) async throws(StoreError) -> Bool {
        // Listed a while ago: it may have moved on since.
        guard let record = try await store.run(number: number), record.state != .quarantined,
            configuration.serves(record.namespace)
        else { return true }
        var verifier = HistoryVerifier(record, ruleLimit: Self.ruleLimit), last: Int64 = 0
        // Kept where relatives are compared as well.
        var events: [Event]? = configuration.verificationRound == nil ? nil : []
        var unreadable: String?
        do throws(StoreError) {
            while true {
                let page = try await store.events(of: record.number, after: last, limit: configuration.historyPage)
                guard let end = page.last?.seq else { break }
                verifier.add(page)
                last = end
                events = events.flatMap { $0.count + page.count > Self.comparedLimit ? nil : $0 + page }
                let size = page.map(\.valueSize).reduce(0, +) / Self.bytesPerEvent
                guard await spend(page.count + Int(size), &budget) else { return false }
            }
        } catch {
            guard case .corrupt(let message) = error else { throw error }
            unreadable = message
        }
        metrics.verified.increment()
        if let events, unreadable == nil { try await compare(record, events, with: &verifier) }
        let report = unreadable.map(HistoryVerifier.Report.unreadable) ?? verifier.finish()
        if report.isSound {
            isSound(record)
        } else if try await isConfirmed(record, hasEvents: events != nil && unreadable == nil) {
            try await found(report, in: record, isUnreadable: unreadable != nil)
        }
        upkeep.verified()
        return await spend(1, &budget)
    }

    /// It may have been restored since.
    private func isSound(_ record: RunRecord) {
        guard upkeep.isSound(record.number) else { return }
        logger.notice("a history holds together again", metadata: ["run": "\(record.id)"])
    }

    /// Says what was found, and sets the run aside if its chain is broken and nobody is at work on it. A closed run stays as it is: it is
    /// not executed any more. Neither is an owned one changed here: it is found again when it is loaded next.
    private func found(
        _ report: HistoryVerifier.Report, in record: RunRecord, isUnreadable: Bool
    ) async throws(StoreError) {
        guard let now = try await store.run(record.id), now.tombstone == record.tombstone else { return }
        // Row and history were read one after the other.
        let problems = report.problems.filter { $0.rule != .row || now == record }
        guard let first = problems.first else { return }
        metrics.broken.increment()
        let isNew = upkeep.found(
            .init(
                number: record.number, run: record.id, seq: first.seq, rule: first.rule, message: first.message, at: store.now()))
        if isNew { tell(first, of: record, now) }
        let isBroken = isUnreadable || problems.contains { $0.rule == .chain || $0.rule == .beginning }
        // Beside an embedded store its host has the run, and those who wait for it, in its own memory.
        guard isBroken, now.owner == nil, !now.state.isFinal, configuration.duty != .visitor else { return }
        try await setAside(record, first.message, now)
    }

    private func tell(_ first: HistoryVerifier.Problem, of record: RunRecord, _ now: RunRecord) {
        logger.critical(
            "a history was verified and does not hold together",
            metadata: [
                "run": "\(record.id)", "event": "\(first.seq.map(String.init) ?? "none")", "rule": "\(first.rule.rawValue)",
                "problem": "\(first.message)", "state": "\(now.state.rawValue)",
            ])
    }

    private func setAside(_ record: RunRecord, _ reason: String, _ now: RunRecord) async throws(StoreError) {
        try await store.quarantine(record.number, reason: reason, ifUnownedSince: now.epoch)
        metrics.quarantined.increment()
        let resident = state.withLock { state -> Activation? in
            guard let resident = state.table[record.number], !state.table.isOwned(record.number) else { return nil }
            state.table.remove(resident)
            return resident
        }
        resident?.post(.leave)
        wakeWaiters(of: record.id)
    }
}
