internal import Foundation
internal import Logging
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore
internal import ServiceLifecycle

/// Asks the store again and again how it stands, and what is hosted; notes it, and says once what has changed.
struct StoreWatch: Sendable {
    private static let pause = Duration.seconds(2)
    /// Counting looks at every run: never more often than this, and at most a hundredth of the time.
    private static let countingPause = Duration.seconds(60), restAfterCounting = 100

    let client: Client
    let board: HealthBoard
    let configuration: ServeConfiguration
    let logger: Logger
    let now: @Sendable () -> Timestamp

    /// What was seen at the last look.
    private struct Seen {
        var hosted: Set<ClaimRequest.Hosted>?
        /// When the runs may be counted again.
        var countsFrom = ContinuousClock.now
        var stranded: [VersionInfo] = []
        /// The runs could not be counted the last time.
        var isCountless = false
    }

    /// Goes on until its task is cancelled.
    func run() async {
        var seen = Seen()
        repeat {
            do {
                try await look(&seen)
            } catch {
                let problem = (error as? PerdureError)?.message ?? "\(error)"
                if !Task.isCancelled, board.state.phase != .ending, board.storeFailed(problem) {
                    logger.error("the store cannot be reached; trying again", metadata: ["error": "\(problem)"])
                }
            }
        } while (try? await Task.sleep(for: Self.pause)) != nil
    }

    private func look(_ seen: inout Seen) async throws {
        let firstDue = try await firstDue()
        var standing = HealthBoard.StoreStanding()
        standing.answeredAt = now()
        standing.clockDifference = client.store.now().duration(since: now())
        if let firstDue { standing.schedulesLate = max(.zero, client.store.now().duration(since: firstDue)) }
        if let restoration = try await client.restoration(), restoration.recoveredAt == nil { standing.loss = restoration.reason }
        if board.storeAnswered(standing) { logger.notice("the store can be reached again") }
        try await lookForStranded(&seen)
    }

    /// When the first of our schedules that are late was due.
    private func firstDue() async throws -> Timestamp? {
        let limit = 100, now = client.store.now()
        var after: SchedulePlace?
        while true {
            let page = try await client.guarded { [after] in
                try await client.store.schedules(.due(after: after, by: now, limit: limit))
            }
            if let first = page.first(where: { configuration.namespaces?.contains($0.key.namespace) ?? true }) {
                return first.dueAt
            }
            guard page.count == limit, let last = page.last else { return nil }
            after = SchedulePlace(at: last.dueAt ?? now, key: last.key)
        }
    }

    private func lookForStranded(_ seen: inout Seen) async throws {
        let hosted = Set(try await client.livingNodes().flatMap(\.hosted))
        let begun = ContinuousClock.now
        guard begun >= seen.countsFrom || hosted != seen.hosted else { return }
        // Where counting does not come to an end it is not begun again at once.
        seen.hosted = hosted
        seen.countsFrom = begun + Self.countingPause * 10
        let versions: [VersionInfo]
        do {
            versions = try await self.versions()
        } catch let error as PerdureError where error.code == .storeUnavailable {
            // A store with very many runs may answer everything but this in time.
            if !seen.isCountless {
                logger.warning(
                    "the runs of each version cannot be counted; trying again later", metadata: ["error": "\(error.message)"])
            }
            seen.isCountless = true
            return
        }
        seen.isCountless = false
        let end = ContinuousClock.now
        seen.countsFrom = end + max(Self.countingPause, (end - begun) * Self.restAfterCounting)
        tell(from: seen.stranded, to: versions)
        seen.stranded = versions.filter(\.isStranded)
        let quarantined = versions.map { $0.runs[RunState.quarantined.rawValue] ?? 0 }.reduce(0, +)
        board.change { [stranded = seen.stranded] in
            $0.stranded = stranded
            $0.quarantined = quarantined
        }
    }

    private func versions() async throws -> [VersionInfo] {
        guard let namespaces = configuration.namespaces else { return try await client.versions() }
        var all: [VersionInfo] = []
        for namespace in namespaces.sorted() { all += try await client.versions(namespace: namespace) }
        return all
    }

    private func tell(from before: [VersionInfo], to versions: [VersionInfo]) {
        for version in versions where version.isStranded && !before.contains(where: version.isSameVersion) {
            logger.warning(
                "a version is stranded: it has open runs, and nobody hosts it",
                metadata: metadata(version, ["open": "\(version.openRuns)"]))
        }
        for version in before {
            guard let now = versions.first(where: version.isSameVersion), !now.isStranded, now.isHosted else { continue }
            logger.notice("a version that was stranded is hosted again", metadata: metadata(version, [:]))
        }
    }

    private func metadata(_ version: VersionInfo, _ more: Logger.Metadata) -> Logger.Metadata {
        more.merging(["workflow": "\(version.workflow)", "version": "\(version.version)"]) { $1 }
    }
}

extension VersionInfo {
    fileprivate func isSameVersion(_ other: VersionInfo) -> Bool { workflow == other.workflow && version == other.version }
}
