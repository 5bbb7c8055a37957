internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension MemoryState {
    /// How many bytes of values end a page.
    private static let pageSize: Int64 = 4 << 20

    /// Ends a page early once its values are large, as a store must that reads from a disk.
    func events(of run: Int64, after seq: Int64, limit: Int) -> [Event] {
        guard let index = index(of: run), let last = runs[index].events.last?.seq else { return [] }
        // Of an expired run only its end counts, even before the rest is removed.
        let start = max(seq, runs[index].record.tombstone?.lastSeq ?? 0)
        guard start < last, let first = runs[index].place(of: start + 1) else { return [] }
        return Self.page(runs[index].events[first...], limit)
    }

    func events(of run: Int64, before seq: Int64, limit: Int) -> [Event] {
        guard let index = index(of: run), let last = runs[index].events.last?.seq else { return [] }
        let start = runs[index].record.tombstone?.lastSeq ?? 0, end = min(seq, last + 1)
        guard end > start + 1, let first = runs[index].place(of: start + 1), let stop = runs[index].place(of: end - 1) else {
            return []
        }
        return Self.page(runs[index].events[first...stop].reversed(), limit)
    }

    private static func page(_ events: some Collection<Event>, _ limit: Int) -> [Event] {
        var page: [Event] = [], room = pageSize
        for event in events.prefix(max(0, limit)) {
            page.append(event)
            room -= event.valueSize
            if room <= 0 { break }
        }
        return page
    }

    func marked(_ kind: EventKind, _ subject: String?, in run: Int64) -> [Event] {
        guard let index = index(of: run) else { return [] }
        let run = runs[index]
        if let subject {
            return run.marks[.init(kind: kind, subject: ByteText(subject))].flatMap { run.place(of: $0) }.map { [run.events[$0]] }
                ?? []
        }
        return run.marks.filter { $0.key.kind == kind }.map(\.value).sorted().compactMap { run.place(of: $0) }.map {
            run.events[$0]
        }
    }

    func isEnded(_ wait: RunWait) -> Bool {
        guard let index = index(of: wait.run), !runs[index].record.state.endsWaits else { return true }
        guard let update = wait.update else { return false }
        return EventKind.replies.contains { runs[index].marks[.init(kind: $0, subject: ByteText(update))] != nil }
    }

    func labels(of runs: [Int64]) -> [Int64: [String: String]] {
        var found: [Int64: [String: String]] = [:]
        for run in runs {
            guard let index = index(of: run), !self.runs[index].labels.isEmpty else { continue }
            found[run] = Dictionary(self.runs[index].labels.map { ($0.key.text, $0.value.text) }) { first, _ in first }
        }
        return found
    }

    func heartbeats(of run: Int64, _ subject: String?) -> [HeartbeatRecord] {
        guard let index = index(of: run) else { return [] }
        guard let subject = subject.map(ByteText.init) else { return runs[index].heartbeats }
        return runs[index].heartbeats.filter { ByteText($0.subject) == subject }
    }

    // MARK: Messages

    func inbox(of run: Int64, after number: Int64) -> InboxPage {
        index(of: run).map { page(of: $0, after: number) } ?? InboxPage(rows: [], hasMore: false)
    }

    func inboxes(of runs: [Int64]) -> [Int64: InboxPage] {
        var inboxes: [Int64: InboxPage] = [:], room = Self.pageSize
        for run in runs where room > 0 {
            let inbox = inbox(of: run, after: 0)
            room -= inbox.valueSize
            inboxes[run] = inbox
        }
        return inboxes
    }

    func interventions(of run: Int64) -> [InboxRow] {
        guard let index = index(of: run) else { return [] }
        var page = PageOfRows()
        for row in runs[index].unread where row.delivery.kind.needsNoCode || row.delivery.kind == .retry {
            if !page.add(row) { break }
        }
        return page.page.rows
    }

    func inbox(ownedBy id: NodeID, after number: Int64, limit: Int) -> InboxPage {
        var page = PageOfRows(limit: limit)
        guard let node = nodeIndex(of: id), number < .max else { return page.page }
        nodes[node].arrivals.forEach(from: Arrival(number: number + 1, run: 0)) { arrival in
            guard let index = index(of: arrival.run) else { return true }
            let place = runs[index].unreadPlace(after: arrival.number - 1)
            return place < runs[index].unread.count ? page.add(runs[index].unread[place]) : true
        }
        return page.page
    }

    func beginnings(of runs: [Int64], limit: Int) -> [Int64: RunBeginning] {
        var beginnings: [Int64: RunBeginning] = [:], room = Self.pageSize
        for run in runs {
            let events = events(of: run, after: 0, limit: limit), inbox = inbox(of: run, after: 0)
            room -= events.reduce(0) { $0 + $1.valueSize } + inbox.valueSize
            guard room > 0 else { break }
            beginnings[run] = RunBeginning(events: events, inbox: inbox, patches: marked(.versionPatched, nil, in: run))
        }
        return beginnings
    }

    func nextWake(hosted: [ClaimRequest.Hosted]) -> Timestamp? {
        hosted.compactMap { workNumbers[WorkName($0.workflow, $0.version)] }
            .flatMap { [work[$0].due.first?.at, work[$0].queued.first?.at] }.compactMap(\.self).min()
    }
}
