package import Logging
import Perdure
import PerdureHistory
package import PerdureStore

/// Removes from a store what is past its time, a little at a time, and puts into an archive before what has to be there first.
///
/// Somebody calls `round` once in a while: an engine does, and so can any process that has opened the store as an engine does. Several may
/// do it at the same time.
package struct Archivist: Sendable {
    /// What was done.
    package struct Report: Sendable, Hashable {
        /// Histories that were put into the archive.
        package var archived = 0
        /// Runs whose history was removed.
        package var expired = 0
        /// Tombstones that were removed.
        package var removed = 0
        /// Why nothing could be put into the archive, as a sentence.
        package var trouble: String?
        /// Whether anything is set by which something may have to go.
        package var hasTerms = true

        package init() {}
    }

    private let store: any Store
    /// For namespaces for which nothing is set.
    private let terms: RetentionTerms
    private let archive: HistoryArchive?
    private let logger: Logger
    private let pause: @Sendable (Duration) async -> Bool
    /// Runs that cannot be read or archived, by what was said of it.
    private var told: Set<Int64> = []
    private var isStuck = false
    /// Histories that could not be archived, each with its last event: they are not tried again before this time, unless they go on.
    private var refused: [Int64: (seq: Int64, until: Timestamp)] = [:]
    private static let restAfterRefusal = Duration.seconds(3_600)

    private static let rowsAtOnce = 2_000
    private static let pauseBetweenBatches = Duration.milliseconds(100)

    /// - Parameters:
    ///   - store: Opened as an engine.
    ///   - terms: What holds in namespaces for which nothing is set; they are never archived.
    ///   - archive: Without one no run expires that has to be archived first.
    ///   - pause: Waits, and answers whether to go on.
    package init(
        _ store: any Store, terms: RetentionTerms = RetentionTerms(), archive: HistoryArchive? = nil, logger: Logger,
        pause: @escaping @Sendable (Duration) async -> Bool
    ) {
        self.store = store
        self.terms = terms
        self.archive = archive
        self.logger = logger
        self.pause = pause
    }

    /// Goes once through what is past its time. It is asked again in a minute or so.
    ///
    /// - Parameter progress: Told after each part what was done since the one before.
    package mutating func round(_ progress: (Report) -> Void = { _ in }) async throws(StoreError) -> Report {
        var report = Report()
        // What is left of histories that began to go is removed also where nothing is set any more.
        let isNothingSet = try await store.namespaces().isEmpty
        report.hasTerms = terms.closedAfter != nil || terms.removedAfter != nil || !isNothingSet
        let now = store.now()
        var request = ExpiryRequest(
            closedBefore: terms.closedAfter.map { now - $0 }, expiredBefore: terms.removedAfter.map { now - $0 },
            archives: archive != nil, limit: Self.rowsAtOnce)
        // What was noted at another time is looked at again before its history goes: its file may be gone.
        request.confirmed = []
        archive?.clear()
        if let archive, let reason = archive.trouble {
            tell(of: reason, archive)
            report.trouble = reason
            request.archives = false
        }
        while true {
            var part = Report()
            let answer = try await store.expire(request)
            part.expired = answer.expired
            part.removed = answer.removed
            tell(of: answer.unreadable)
            if let archive, request.archives {
                let kept = try await keep(answer.unarchived, in: archive, &part)
                part.archived = kept.count
                request.confirmed?.formUnion(kept)
                if part.trouble != nil { request.archives = false }
            }
            progress(part)
            report.add(part)
            // What is in the archive now expires where it was passed over.
            if part.archived == 0 { request.position = answer.position }
            if answer.isDone, part.archived == 0 { break }
            guard await pause(Self.pauseBetweenBatches) else { break }
        }
        if report.archived > 0 { logger.info("histories were archived", metadata: ["runs": "\(report.archived)"]) }
        if report.expired > 0 { logger.info("histories have expired", metadata: ["runs": "\(report.expired)"]) }
        return report
    }

    private mutating func tell(of reason: String, _ archive: HistoryArchive) {
        if !isStuck {
            logger.error(
                "nothing can be archived; what has to be archived first stays in the store",
                metadata: ["archive": "\(archive.path)", "error": "\(reason)"])
        }
        isStuck = true
    }

    private mutating func tell(of unreadable: [BrokenRun]) {
        for run in unreadable where told.insert(run.number).inserted {
            logger.error(
                "a closed run cannot be read and does not expire",
                metadata: ["run": "\(run.id.map(\.description) ?? "number \(run.number)")", "error": "\(run.reason)"])
        }
    }

    /// Returns the numbers of those that are in the archive, and noted.
    private mutating func keep(
        _ runs: [UnarchivedRun], in archive: HistoryArchive, _ part: inout Report
    ) async throws(StoreError) -> Set<Int64> {
        var kept: [ArchivedHistory] = [], failure: StoreError?
        let now = store.now()
        for run in runs {
            if let refusal = refused[run.number], refusal.seq == run.seq, refusal.until > now { continue }
            do {
                kept.append(try await archive.keep(run, of: store))
            } catch ArchiveProblem.later {
                continue
            } catch ArchiveProblem.run(let reason) {
                refused[run.number] = (run.seq, now + Self.restAfterRefusal)
                guard told.insert(run.number).inserted else { continue }
                logger.error(
                    "a history cannot be archived and stays in the store", metadata: ["run": "\(run.id)", "error": "\(reason)"])
            } catch ArchiveProblem.folder(let reason) {
                part.trouble = reason
                tell(of: reason, archive)
                break
            } catch is CancellationError {
                break
            } catch {
                // What is there by now is noted all the same.
                failure = .unavailable("\(error)")
                break
            }
        }
        guard !kept.isEmpty else {
            if let failure { throw failure }
            return []
        }
        do {
            try archive.onStep(.note)
        } catch {
            throw .unavailable("\(error)")
        }
        let noted = try await store.noteArchived(kept)
        if let failure { throw failure }
        if isStuck, !noted.isEmpty, part.trouble == nil {
            isStuck = false
            logger.notice("histories are archived again", metadata: ["archive": "\(archive.path)"])
        }
        return noted
    }
}

extension Archivist.Report {
    fileprivate mutating func add(_ part: Self) {
        archived += part.archived
        expired += part.expired
        removed += part.removed
        trouble = part.trouble ?? trouble
    }
}
