public import Perdure
package import PerdureStore

/// One version of a workflow: how many runs there are of it, and whether somebody hosts it.
public struct VersionInfo: Sendable, Hashable {
    /// The workflow's name.
    public let workflow: String
    /// The version.
    public let version: WorkflowVersion
    /// How many runs there are in each state that any is in, by the state's name (`RunInfo.state`).
    public let runs: [String: Int]
    /// Whether a process that lives now hosts it.
    public let isHosted: Bool
    /// Whether new runs are started on it where no version is named: the newest one that is hosted.
    public let takesNewRuns: Bool
    /// Runs that need its code to go on. Quarantined ones do not: they are never executed again.
    public let openRuns: Int

    /// Nothing moves its open runs: no process that lives hosts it.
    public var isStranded: Bool { openRuns > 0 && !isHosted }
    /// No run needs it, and no new run is started on it where no version is named: a process that is there for it alone may stop, unless
    /// the code of an open run names this very version for a child.
    public var isDrained: Bool { openRuns == 0 && !takesNewRuns }

    init(_ hosted: ClaimRequest.Hosted, runs: [RunState: Int], isHosted: Bool, newest: WorkflowVersion?) {
        workflow = hosted.workflow
        version = WorkflowVersion(hosted.version)
        self.runs = Dictionary(runs.map { ($0.key.rawValue, $0.value) }) { first, _ in first }
        self.isHosted = isHosted
        takesNewRuns = isHosted && version == newest
        openRuns = runs.filter { !$0.key.isFinal && $0.key != .quarantined }.values.reduce(0, +)
    }
}

extension Client {
    /// Every version of every workflow that has runs or is hosted now, by name, the oldest version first. It looks at every run: meant for
    /// people and deployments, not to be asked every second.
    ///
    /// - Throws: `PerdureError` with the store's code.
    public func versions(namespace: String? = nil) async throws -> [VersionInfo] {
        let counts = try await guarded { try await store.versions(namespace: namespace) }
        let hosted = Set(try await livingNodes().flatMap(\.hosted))
        var runs: [ClaimRequest.Hosted: [RunState: Int]] = [:]
        for count in counts { runs[.init(workflow: count.workflow, version: count.version)] = count.runs }
        var newest: [String: WorkflowVersion] = [:]
        for one in hosted {
            let version = WorkflowVersion(one.version)
            if newest[one.workflow].map({ $0 < version }) ?? true { newest[one.workflow] = version }
        }
        return hosted.union(runs.keys).map {
            VersionInfo($0, runs: runs[$0] ?? [:], isHosted: hosted.contains($0), newest: newest[$0.workflow])
        }
        .sorted { ($0.workflow, $0.version) < ($1.workflow, $1.version) }
    }

    /// The processes that host workflows on this store, those that are late with their leases too.
    package func nodes() async throws -> [NodeStanding] { try await guarded { try await store.nodes() } }

    /// The processes that host workflows on this store now.
    package func livingNodes() async throws -> [NodeRegistration] { try await guarded { try await store.livingNodes() } }

    /// That a run is stranded stands neither in its row nor in its history: it depends on who lives.
    func strandedSentence(_ record: RunRecord) async throws -> String? {
        guard !record.state.isFinal, record.state != .quarantined, record.state != .running else { return nil }
        let nodes = try await livingNodes()
        let needed = ClaimRequest.Hosted(workflow: record.workflow, version: record.version)
        guard !nodes.isEmpty, !nodes.contains(where: { $0.hosted.contains(needed) }) else { return nil }
        return "It is stranded: a process hosts this store, but none has code for \(record.workflow) \(record.version)."
    }
}
