import Perdure
package import PerdureHistory
package import PerdureStore

/// A run with its whole history, apart from any store.
package struct RecordedRun: Sendable {
    package var record: RunRecord
    package var events: [Event]
    /// Why the events behind these could not be read when they were written down; nil if there are none.
    package var broken: String?
    /// Its owner had died when it was written down, and nobody had taken it over.
    package var isOrphaned: Bool

    package init(record: RunRecord, events: [Event], broken: String? = nil, isOrphaned: Bool = false) {
        self.record = record
        self.events = events
        self.broken = broken
        self.isOrphaned = isOrphaned
    }

    /// What the first event continues.
    package var start: ChainHead {
        record.tombstone?.head ?? .start(namespace: record.namespace, run: record.id.description)
    }

    /// Why code cannot be led through the history, if it cannot.
    var obstacle: String? {
        if let broken { return broken }
        if record.state == .quarantined { return record.note ?? "The run is quarantined." }
        if events.first?.kind != .runStarted { return "The history does not begin with run.started." }
        if record.salt.isEmpty {
            return "It was exported without its salt, from which the run's random numbers follow: export it with --with-salt."
        }
        if let event = events.first(where: { [$0.input, $0.output].contains { $0?.isLeftOut == true } }) {
            return "It was exported without its large values, and event \(event.seq) has one."
        }
        return nil
    }
}

extension StoredValue {
    fileprivate var isLeftOut: Bool {
        switch self {
        case .inline: false
        case .spilled: true
        }
    }
}

// MARK: From and to the form that travels

extension RecordedRun {
    /// - Throws: What is wrong, as the rest of a sentence.
    init(_ run: ExportedRun, events: [Event], broken: String?, line: Int) throws(HistoryLineError) {
        guard let id = RunID(run.id), id.description == run.id else {
            throw HistoryLineError(line: line, "'\(run.id)' is not a run's id")
        }
        guard let state = RunState(rawValue: run.state) else {
            throw HistoryLineError(
                line: line, "it names a state that this release does not know: '\(run.state)'", isFromLater: true)
        }
        guard run.successor.map({ RunID($0) != nil }) ?? true else {
            throw HistoryLineError(line: line, "its successor is not named by a run's id")
        }
        let record = RunRecord(
            id: id, namespace: run.namespace, workflow: run.workflow, version: run.version, key: run.key,
            inputDigest: run.inputDigest, salt: run.salt ?? [], state: state, epoch: run.epoch, createdAt: run.createdAt,
            closedAt: run.closedAt, note: run.note,
            tombstone: run.expired.map { Tombstone(expiredAt: $0.at, lastSeq: $0.lastSeq, lastHash: $0.lastHash) },
            successor: run.successor.flatMap(RunID.init))
        self.init(record: record, events: events, broken: broken, isOrphaned: run.isOrphaned)
    }
}

extension ExportedRun {
    init(_ record: RunRecord, withSalt: Bool, isOrphaned: Bool) {
        self.init(
            id: record.id.description, namespace: record.namespace, workflow: record.workflow, version: record.version,
            key: record.key, state: record.state.rawValue, epoch: record.epoch, inputDigest: record.inputDigest,
            salt: withSalt ? record.salt : nil, createdAt: record.createdAt, closedAt: record.closedAt, note: record.note,
            successor: record.successor?.description,
            expired: record.tombstone.map { Expired(at: $0.expiredAt, lastSeq: $0.lastSeq, lastHash: $0.lastHash) },
            isOrphaned: isOrphaned)
    }
}
