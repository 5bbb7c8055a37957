public import Foundation
public import Perdure
import PerdureHistory
public import PerdureStore

/// That a store's history went back: it was restored from a backup, or a replica took over that was behind.
public struct RestorationInfo: Sendable, Hashable {
    /// Tells it from others of the same store: 1, 2, 3, …
    public let number: Int64
    /// When it was noticed or said, on the store's clock.
    public let noticedAt: Date
    /// The node that has noticed it, or who has said so. Empty for a client that is confined to a namespace.
    public let noticedBy: String
    /// What it was noticed by, as a sentence. Empty for a client that is confined.
    public let reason: String
    /// How many open runs are marked so far, of all namespaces. Those that were made or left open in the meantime are among them. 0 for a
    /// client that is confined.
    public let markedRuns: Int
    /// When all were; nil as long as nothing may be begun.
    public let recoveredAt: Date?
    /// Who had the last of them marked.
    public let recoveredBy: Principal?

    init(_ restoration: Restoration) {
        number = restoration.number
        noticedAt = restoration.noticedAt.date
        noticedBy = restoration.noticedBy
        reason = restoration.reason
        markedRuns = Int(restoration.marked)
        recoveredAt = restoration.liftedAt?.date
        recoveredBy = restoration.liftedBy
    }
}

// Going on from a history whose end is lost.
extension Client {
    /// The last time that the store's history went back, as far as somebody has noticed or said so; nil if it never did. A client that is
    /// confined to a namespace learns when, and whether the store still waits for its operator.
    ///
    /// - Throws: `PerdureError` with the store's code.
    public func restoration() async throws -> RestorationInfo? {
        try await guarded { try await store.restoration() }.map(RestorationInfo.init)
    }

    /// Opens a store to recover its history, and brings its schema up to date. Of an embedded store nobody else may be the engine.
    ///
    /// - Throws: `PerdureError` whose code says why the store cannot be used, such as `store_locked`.
    public init(recovering configuration: StoreConfiguration) async throws {
        do {
            let store = try await configuration.open(.engine)
            let groups = CommitGroups(store)
            self.init(store: store) { item in try await Self.commit(item, in: groups) }
        } catch let error as StoreError {
            throw error.publicError
        }
    }

    /// How many open runs `recoverRestored` would mark.
    ///
    /// - Throws: `PerdureError` with the store's code.
    public func restorableRuns() async throws -> Int {
        let counts = try await guarded { try await store.counts(namespace: nil) }
        return RunState.restorable.reduce(0) { $0 + (counts[$1] ?? 0) }
    }

    /// Says in the history of every open run that what followed may be lost, and may have happened all the same; then nodes go on. What
    /// must not be repeated and may have been sent is asked about from then on, by its probe or of a person, until somebody says of the run
    /// that it was looked at (`settleLoss`).
    ///
    /// Works off what was noticed; if nothing stands that was, it is the caller who says that the history went back. Whoever was at it
    /// before and has not come to its end, or is at it, is of no concern: all open runs are marked, and some then have two marks. Until all
    /// are nothing is begun, so that it may be broken off and called again.
    ///
    /// On PostgreSQL every node is ended first, and has to be started again, but for those that wait since a node has noticed it. An
    /// embedded store has one engine. If it is open, only a client of that engine can do this: its runs are read again, and go on behind
    /// their marks.
    ///
    /// - Parameter seen: What `restoration()` said when the caller decided on it. If history was recovered since then, nothing is done, and
    ///   that recovery is returned: two who decide on the same loss do not recover twice. `nil` if it said that there was none.
    /// - Throws: `PerdureError` with the store's code, and `CancellationError` between two batches of runs.
    public func recoverRestored(by sender: Principal, seen: RestorationInfo?) async throws -> RestorationInfo {
        let lifted = seen.map { $0.recoveredAt == nil ? $0.number - 1 : $0.number } ?? 0
        var restoration = try await guarded {
            try await store.beginRestoration(by: sender.description, reason: "\(sender) says so", after: lifted)
        }
        while restoration.isStanding {
            try Task.checkCancellation()
            let number = restoration.number
            restoration = try await guarded {
                try await store.markRestored(number, limit: Restoration.mostAtOnce, by: sender)
            }
        }
        return RestorationInfo(restoration)
    }

    /// The same for a caller who decides now.
    ///
    /// - Throws: As the other one.
    public func recoverRestored(by sender: Principal) async throws -> RestorationInfo {
        try await recoverRestored(by: sender, seen: try await restoration())
    }
}
