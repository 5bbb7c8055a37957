import CoreMetrics
import Logging
import Perdure
import PerdureHistory
import PerdureStore

// Verifying every history once in a fixed time, as keepers do.
extension Engine {
    /// Longer histories are not compared with those of their relatives: that needs them whole.
    static let comparedLimit = 5_000

    /// Goes through part after part until its task is cancelled. What is not done in time is done late; what is late by a whole round is
    /// left out, which is said.
    func keepRounds(_ length: Duration) async {
        let plan = VerificationPlan(round: length)
        var index = plan.index(at: store.now()), before: Int64?, budget = 0
        while !Task.isCancelled {
            let now = plan.index(at: store.now())
            // More than a round behind, the same runs would be looked at twice in a row.
            if index < now - plan.parts {
                upkeep.leavesOut(now - plan.parts - index, until: now)
                index = now - plan.parts
            }
            upkeep.forgetLeftOut(before: now - plan.parts)
            upkeep.verifies(plan.place(index), behind: max(.zero, store.now().duration(since: plan.start(of: index + 1))))
            do {
                guard try await verify(plan.place(index), before: &before, &budget) else { return }
                noteVerification()
                index += 1
                before = nil
                let rest = plan.start(of: index).duration(since: store.now())
                if rest > .zero {
                    upkeep.verifies(plan.place(index - 1), behind: .zero)
                    guard await pause(rest) else { return }
                }
            } catch {
                cannotVerify(error)
                guard await pause(.seconds(5)) else { return }
            }
        }
    }

    /// - Parameter before: The number of the run that was looked at last.
    /// - Returns: Whether to go on with the next part.
    private func verify(
        _ place: VerificationPlan.Place, before: inout Int64?, _ budget: inout Int
    ) async throws(StoreError) -> Bool {
        await forgetGone()
        let share = try await keeperShare(), size = VerificationPlan.blockSize
        guard let newest = try await store.runNumbers(before: before, limit: 1).first else { return true }
        var block = place.block(upTo: newest / size)
        while let current = block {
            guard await spend(1, &budget) else { return false }
            block = place.block(upTo: current - 1)
            guard place.isMine(current, share) else { continue }
            let end = (current + 1) * size
            let page = try await store.runNumbers(before: before.map { min($0, end) } ?? end, limit: Int(size))
            for number in page where number / size == current {
                guard try await lookOrPassOver(number, &budget) else { return false }
                before = number
            }
            // Where many runs are gone, blocks without any are not asked for one by one.
            guard let newest = page.last else { return true }
            if newest / size < current { block = place.block(upTo: (page.first { $0 / size < current } ?? newest) / size) }
        }
        return true
    }

    /// What was found in runs that have been removed since is nobody's concern any more.
    private func forgetGone() async {
        for number in upkeep.state.findings.keys {
            do {
                if try await store.run(number: number) == nil { _ = upkeep.isSound(number) }
            } catch {
                // It is there, then, and as broken as before.
            }
        }
    }

    /// Which of the keepers that live this one is. Whoever hosts workflows does what its own configuration says.
    private func keeperShare() async throws(StoreError) -> KeeperShare {
        guard let verifies = configuration.sharedVerification else { return .all }
        return KeeperShare(of: node, verifying: verifies, among: try await store.livingNodes())
    }

    /// What `verify` compares as well: children, the run that continues this one, the one that it was forked from.
    func compare(
        _ record: RunRecord, _ events: [Event], with verifier: inout HistoryVerifier
    ) async throws(StoreError) {
        do {
            try await client.checkRelatives(of: record, events, with: &verifier)
        } catch let error as PerdureError where !error.isAboutOneHistory {
            throw StoreError.unavailable(error.message)
        } catch {
            // That is told of where the relative is verified.
        }
    }

    /// Reads it all once more: runs go on while they are read, and nobody is to be woken at night for that.
    func isConfirmed(_ record: RunRecord, hasEvents: Bool) async throws(StoreError) -> Bool {
        guard configuration.verificationRound != nil, hasEvents else { return true }
        do {
            return try await !client.verification(of: record).report.isSound
        } catch let error as PerdureError where error.code == .storeUnavailable || error.code == .engineStopped {
            throw StoreError.unavailable(error.message)
        } catch {
            return true
        }
    }
}
