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
        let due = try await client.guarded {
            try await client.store.schedules(.due(after: nil, by: client.store.now(), limit: 100))
        }
        var standing = HealthBoard.StoreStanding()
        standing.answeredAt = now()
        standing.clockDifference = client.store.now().duration(since: now())
        if let first = due.first(where: { configuration.namespaces?.contains($0.key.namespace) ?? true })?.dueAt {
            standing.schedulesLate = max(.zero, client.store.now().duration(since: first))
        }
        if let restoration = try await client.restoration(), restoration.recoveredAt == nil { standing.loss = restoration.reason }
        if board.storeAnswered(standing) { logger.notice("the store can be reached again") }
        try await lookForStranded(&seen)
    }

    private func lookForStranded(_ seen: inout Seen) async throws {
        let hosted = Set(try await client.livingNodes().flatMap(\.hosted))
        let begun = ContinuousClock.now
        guard begun >= seen.countsFrom || hosted != seen.hosted else { return }
        // Where counting does not come to an end it is not begun again at once.
        seen.countsFrom = begun + Self.countingPause * 10
        let versions = try await versions(), end = ContinuousClock.now
        seen.hosted = hosted
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
