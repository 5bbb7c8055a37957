public import Foundation
public import Perdure
import PerdureHistory
import PerdureStore

/// What an operator has set for a namespace. It holds on every engine, in place of what its `EngineConfiguration` says of retention.
public struct NamespaceSettings: Sendable, Hashable {
    /// How long the history of a run is kept after it has closed, from zero to 1,000 years; nil for ever.
    public var closedAfter: Duration?
    /// How long a tombstone, and with it the workflow key, is kept after its run has expired; nil for ever.
    public var removedAfter: Duration?
    /// Whether no run expires before its history is in an archive.
    public var archive: Bool

    /// Everything is kept.
    public init(closedAfter: Duration? = nil, removedAfter: Duration? = nil, archive: Bool = false) {
        self.closedAfter = closedAfter
        self.removedAfter = removedAfter
        self.archive = archive
    }
}

/// A namespace: what is set for it, and which runs it has.
public struct NamespaceInfo: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// What is set for it; nil if nothing is, and each engine follows its own configuration.
    public var settings: NamespaceSettings?
    /// Who set it last.
    public var changedBy: Principal?
    /// When that was.
    public var changedAt: Date?
    /// What it may take and takes; nil if it has no quotas.
    public var quotas: QuotaInfo?
    /// How many runs there are in each state that any is in, by the state's name. Tombstones count in the state in which they closed.
    public var runs: [String: Int]
}

// Settings of namespaces, from any process.
extension Client {
    /// The namespaces that have runs, quotas or settings, by name. Looks at every run.
    ///
    /// - Throws: `PerdureError` with the store's code.
    public func namespaces() async throws -> [NamespaceInfo] {
        let (rows, counts) = try await guarded {
            (try await store.namespaces(), try await store.namespaceCounts())
        }
        let quotas = try await quotas()
        var found: [String: NamespaceInfo] = [:]
        for (name, states) in counts {
            let runs = Dictionary(uniqueKeysWithValues: states.map { ($0.key.rawValue, $0.value) })
            found[name] = NamespaceInfo(name: name, runs: runs)
        }
        for row in rows {
            found[row.name, default: NamespaceInfo(name: row.name, runs: [:])].settings = NamespaceSettings(row.terms)
            found[row.name]?.changedBy = row.changedBy
            found[row.name]?.changedAt = row.changedAt.date
        }
        for (name, info) in quotas { found[name, default: NamespaceInfo(name: name, runs: [:])].quotas = info }
        return found.values.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    /// What is set for one namespace, without a look at its runs.
    package func settings(of name: String) async throws -> NamespaceInfo {
        var info = NamespaceInfo(name: name, runs: [:])
        if let row = try await guarded({ try await store.namespaces() }).first(where: { $0.name == name }) {
            info.settings = NamespaceSettings(row.terms)
            (info.changedBy, info.changedAt) = (row.changedBy, row.changedAt.date)
        }
        info.quotas = try await quotas()[name]
        return info
    }

    /// Changes what is set for a namespace. It need not have runs yet. When the call has returned no run expires, and no tombstone goes,
    /// by what was set before.
    ///
    /// - Parameters:
    ///   - sender: Recorded as who has set it.
    ///   - change: Gets what is set, nil if nothing is, and says what is to be: nil has each engine follow its own configuration again. It
    ///     may be called more than once, if others change the same namespace.
    /// - Returns: What is set now.
    /// - Throws: What `change` throws, and `PerdureError` with `name_invalid`, or `usage` if the client is confined.
    @discardableResult
    public func changeNamespace(
        _ name: String, by sender: Principal, _ change: (inout NamespaceSettings?) throws -> Void
    ) async throws -> NamespaceSettings? {
        try requireOperator("change what is set for a namespace")
        guard Name.isIdentifier(name) else {
            throw PerdureError(
                .nameInvalid,
                "'\(name.prefix(200))' cannot be the name of a namespace: use 1 to 128 letters, digits, '-', '_' and '.'.")
        }
        for _ in 0..<100 {
            let row = try await guarded { try await store.namespaces() }.first { $0.name == name }, now = store.now()
            var settings = row.map { NamespaceSettings($0.terms) }
            try change(&settings)
            let terms = settings.map { RetentionTerms($0) }
            if terms == row?.terms { return settings }
            // Never a version that this name has had before.
            let version = max(row?.nextVersion ?? 1, now.microseconds)
            let wanted = terms.map {
                NamespaceRow(name: name, version: version, terms: $0, changedBy: sender, changedAt: now)
            }
            if try await set(NamespaceChange(name, on: row?.version, to: wanted)) { return terms.map { NamespaceSettings($0) } }
        }
        throw PerdureError(.storeUnavailable, "Others change namespace '\(name)' all the time; try again.")
    }

    /// Asks again where it is not known what came of it: what stands there already is not changed twice.
    private func set(_ change: NamespaceChange) async throws -> Bool {
        for _ in 0..<3 {
            do throws(StoreError) {
                return try await store.setNamespace(change)
            } catch {
                guard case .outcomeUnknown = error else { throw error.publicError }
            }
        }
        throw PerdureError(
            .storeUnavailable, "It is not known whether namespace '\(change.name)' was changed; look, and try again.",
            mayHaveHappened: true)
    }
}

extension NamespaceSettings {
    init(_ terms: RetentionTerms) {
        self.init(closedAfter: terms.closedAfter, removedAfter: terms.removedAfter, archive: terms.archives)
    }
}

extension RetentionTerms {
    private static let longest = Duration.days(365_000)

    init(_ settings: NamespaceSettings) {
        // In the unit of the store, so that what was set is what is read.
        func whole(_ duration: Duration) -> Duration { .microseconds(min(max(.zero, duration), Self.longest).microseconds) }
        self.init(
            closedAfter: settings.closedAfter.map(whole), removedAfter: settings.removedAfter.map(whole),
            archives: settings.archive)
    }
}
