public import Perdure
import PerdureHistory
import PerdureStore

// Runs that begin where another one was.
extension Client {
    /// Makes a run that begins where another one stood at this event, with a history of its own: what the code had been told by then is
    /// copied. The source goes on as if nothing had happened, or stays closed.
    ///
    /// What was under way at the event, and what was approved and not used, is not copied: the code of the fork asks for it anew, under
    /// keys of its own. The fork undoes nothing of what it has copied; that belongs to the source. Nobody waits for the end of a fork: it
    /// is no child. It has the labels of the source, but neither its deadline nor its key. Business keys stay with the run that took them:
    /// what the source has done under one, before or after the event, is not done again but adopted.
    ///
    /// - Parameters:
    ///   - event: The number of the last event that counts, as `show --events` prints it.
    ///   - version: Whose code goes on with the fork; by default the one that the source is on now, as after a reset.
    ///   - key: The workflow key of the fork. With one, a fork that was made before is found again.
    ///   - reason: Recorded in the history, for people.
    /// - Returns: The fork. It is durable; any engine that hosts its version takes it on.
    /// - Throws: `PerdureError` with `run_unknown`, `run_expired`, `fork_refused`, `name_invalid` (version or key), `run_conflict` (the key
    ///   belongs to another run), `quota_exceeded`, `store_corrupt` if the history of the source does not hold together.
    public func fork(
        _ run: RunID, at event: Int64, version: WorkflowVersion? = nil, key: String? = nil, reason: String? = nil,
        by sender: Principal
    ) async throws -> RunID {
        if let version, !version.isValid {
            throw PerdureError(
                .nameInvalid, "'\(version)' cannot be a version: use up to 64 letters, digits, '-' and '_' in parts with dots.")
        }
        let options = try StartOptions(key: key, labels: [:], deadline: nil)
        let source = try await record(run)
        try source.requireHistory()
        let events = try await verifiedHistory(of: source, upTo: event)
        let view = RunView(events)
        if let problem = ForkBuilder.problem(of: view, at: event) { throw refusal(run, event, problem) }
        let now = store.now()
        let builder = ForkBuilder(source: source, events: events, reason: reason, sender: sender, now: now)
        let id = RunID(milliseconds: now.microseconds / 1_000, random: (random(), random()))
        let labels = events.first.flatMap { try? $0.attributes.object() }?["labels"]
        guard
            let fork = builder.make(
                version: version?.description ?? source.version, key: options.key, labels: labels,
                build: build ?? BuildFingerprint.current, id: id)
        else { throw refusal(run, event, "its first event cannot be read") }
        switch try await deliver(.create(fork)) {
        case .created(let record): return record.id
        case .keyTaken(let existing):
            let known = try await origin(of: existing)
            guard known?.run == run, known?.seq == event else {
                throw PerdureError(
                    .runConflict,
                    "The key '\(options.key ?? "")' belongs to run \(existing.id) of workflow '\(source.workflow)'.",
                    metadata: [("run", existing.id.description)])
            }
            return existing.id
        case .refused(.quotaExceeded(let refusal)): throw PerdureError(refusal)
        case let other: throw PerdureError(.storeUnavailable, "The store did not take the fork: \(other)")
        }
    }

    private func refusal(_ run: RunID, _ event: Int64, _ problem: String) -> PerdureError {
        PerdureError(
            .forkRefused, "Run \(run) cannot be forked at event \(event): \(problem).", metadata: [("run", run.description)])
    }

    /// Where the run comes from, if it is a fork that has not expired.
    private func origin(of record: RunRecord) async throws -> ForkOrigin? {
        guard record.tombstone == nil else { return nil }
        let first = try await guarded { try await store.events(of: record.number, after: 0, limit: 1) }.first
        return first.flatMap { try? $0.attributes.object() }?["fork"].flatMap(ForkOrigin.init)
    }

    /// The history up to an event. Its chain has to hold that far: what is copied gets a chain of its own, which would hide a broken one.
    /// What comes later does not matter, so that a fork is a way on for a run that is quarantined.
    private func verifiedHistory(of record: RunRecord, upTo seq: Int64) async throws -> [Event] {
        var head = ChainHead.start(namespace: record.namespace, run: record.id.description), events: [Event] = []
        while head.seq < seq {
            let (after, limit) = (head.seq, Int(min(1_000, seq - head.seq)))
            let page = try await guarded { try await store.events(of: record.number, after: after, limit: limit) }
            if page.isEmpty { break }
            do throws(ChainBreak) {
                head = try EventChain.verify(page, run: record.id.description, from: head)
            } catch {
                throw PerdureError(.storeCorrupt, error.description, metadata: [("run", record.id.description)])
            }
            events += page
        }
        let named = try? events.first?.attributes.object()["workflow"]?.stringValue
        if let first = events.first, first.kind != .runStarted || named != record.workflow {
            throw PerdureError(
                .storeCorrupt, "The row of run \(record.id) names another workflow than its history.",
                metadata: [("run", record.id.description)])
        }
        return events
    }
}
