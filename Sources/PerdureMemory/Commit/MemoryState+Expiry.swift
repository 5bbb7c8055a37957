internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// What a walk over expired runs asks of a store in memory.
extension MemoryState: ExpiryGround {
    func terms() throws -> [String: RetentionTerms] { namespaces.mapValues(\.terms) }

    func nextNamespace(after name: String, _ part: ExpiryPosition.Part) throws -> String? {
        var next: ByteText?
        let last = ByteText(name)
        (part == .closed ? closed : expired).forEach { cause in
            guard let index = index(of: cause.run) else { return true }
            let name = ByteText(runs[index].record.namespace)
            if name > last, next.map({ name < $0 }) ?? true { next = name }
            return true
        }
        return next?.text
    }

    func leftover() throws -> (run: Int64, last: Int64)? {
        guard let run = leftovers.first, let index = index(of: run), let tombstone = runs[index].record.tombstone else {
            return nil
        }
        return (run, tombstone.lastSeq)
    }

    func closed(after place: ExpiryPosition, before time: Timestamp, limit: Int) throws -> [ExpiryCandidate] {
        let last = Cause(at: place.closedAt, run: place.run), namespace = ByteText(place.namespace)
        var found: [ExpiryCandidate] = []
        closed.forEach(from: last) { cause in
            guard cause.at < time, found.count < limit else { return false }
            if cause != last, let index = index(of: cause.run), ByteText(runs[index].record.namespace) == namespace {
                found.append(ExpiryCandidate(number: cause.run, closedAt: cause.at))
            }
            return true
        }
        return found
    }

    func isAtRest(_ run: Int64) throws -> Bool {
        guard let index = index(of: run) else { return false }
        let run = runs[index]
        return run.record.owner == nil && run.record.state.isFinal && run.unread.isEmpty
    }

    func openings(of run: Int64) throws -> (first: Int64, last: Int64)? {
        guard let index = index(of: run), let first = runs[index].events.first(where: Self.opens),
            let last = runs[index].events.last
        else { return nil }
        return (first.seq, last.seq)
    }

    func hasOpening(_ run: Int64, from seq: Int64) throws -> Bool {
        guard let index = index(of: run) else { return false }
        var open: Set<Opening> = []
        for event in runs[index].events where event.seq >= seq {
            guard let opening = Opening(event) else { continue }
            if Self.opens(event) { open.insert(opening) } else if event.kind != .childStarted { open.remove(opening) }
        }
        return !open.isEmpty
    }

    func expiring(_ run: Int64) throws -> ExpiringRun {
        guard let index = index(of: run), let head = runs[index].head else { throw BadRow("run number \(run) has no events") }
        return ExpiringRun(record: runs[index].record, head: head, archive: runs[index].archive)
    }

    func readableID(of run: Int64) throws -> RunID? { index(of: run).map { runs[$0].record.id } }

    mutating func bury(_ run: Int64, _ end: Event, last: ChainHead, at time: Timestamp) throws {
        guard let index = index(of: run) else { return }
        append([end], to: index)
        change(index) { run in
            run.record.tombstone = Tombstone(expiredAt: time, lastSeq: last.seq, lastHash: last.hash)
            run.record.note = nil
            run.record.wakeAt = nil
            run.hasLeftovers = true
            run.marks = [:]
            run.labels = [:]
        }
        hasNews = true
    }

    /// Large values go with their events: there is nothing beside them.
    mutating func removeEvents(of run: Int64, through seq: Int64, limit: Int) throws -> Int {
        guard let index = index(of: run) else { return 0 }
        let count = runs[index].events.prefix(limit).prefix { $0.seq <= seq }.count
        runs[index].events.removeFirst(count)
        return count
    }

    func removeBlobs(of run: Int64, limit: Int) throws -> Int { 0 }

    /// All of them: what is in memory is gone at once.
    mutating func removeMessages(of run: Int64, limit: Int) throws -> Int {
        guard let index = index(of: run) else { return 0 }
        change(index) { run in
            run.unread = []
            run.read = []
            run.deliveries = [:]
            (run.hostAt, run.anyoneAt) = (nil, nil)
        }
        return 0
    }

    mutating func settle(_ run: Int64) throws {
        guard let index = index(of: run) else { return }
        forget(index)
        change(index) { $0.hasLeftovers = false }
    }

    func tombstones(of namespace: String, before time: Timestamp, limit: Int) throws -> [Int64] {
        let namespace = ByteText(namespace)
        var found: [Int64] = []
        expired.forEach { cause in
            guard cause.at < time, found.count < limit else { return false }
            if let index = index(of: cause.run), !runs[index].hasLeftovers, ByteText(runs[index].record.namespace) == namespace {
                found.append(cause.run)
            }
            return true
        }
        return found
    }

    mutating func removeTombstones(_ runs: [Int64]) throws {
        for run in runs {
            guard let index = index(of: run) else { continue }
            remove(index)
            hasNews = true
        }
    }

    /// What is in an archive now, as far as it is all there is.
    mutating func noteArchived(_ histories: [ArchivedHistory]) -> Set<Int64> {
        var noted: Set<Int64> = []
        for history in histories {
            guard let index = index(of: history.run), runs[index].record.closedAt != nil, runs[index].record.tombstone == nil,
                runs[index].head?.hash == history.lastHash
            else { continue }
            runs[index].archive = history
            noted.insert(history.run)
        }
        return noted
    }

    private struct Opening: Hashable {
        let area: String
        let subject: ByteText

        init?(_ event: Event) {
            switch event.kind {
            case .childStarted, .childCompleted, .childFailed, .childCancelled: area = "child"
            case let kind where kind.rawValue.hasPrefix("step."): area = "step"
            case let kind where kind.rawValue.hasPrefix("undo."): area = "undo"
            default: return nil
            }
            subject = ByteText(event.subject)
        }
    }

    private static func opens(_ event: Event) -> Bool {
        switch event.kind {
        case .stepInDoubt, .undoInDoubt: true
        case .childStarted: (try? event.attributes.object())?["detached"] != .bool(true)
        default: false
        }
    }

    private mutating func remove(_ index: Int) {
        let record = runs[index].record
        numbers[record.id] = nil
        if let key = WorkflowKey(record), keys[key] == record.number { keys[key] = nil }
        if let origin = record.origin, chainEnds[origin.run] == record.number { chainEnds[origin.run] = nil }
        change(index) { $0.isGone = true }
        runs[index].events = []
    }
}
