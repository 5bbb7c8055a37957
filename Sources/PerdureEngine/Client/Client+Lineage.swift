package import Perdure
package import PerdureHistory
package import PerdureStore

/// A run with its children, theirs, and so on: one history told in several.
package struct Lineage: Sendable {
    package var record: RunRecord
    package var events: [Event]
    package var children: [Lineage] = []
    /// How many children of this run were left out because there are too many.
    package var omitted = 0

    /// How deep children are followed. Deeper ones are looked at by themselves.
    package static let maximumDepth = 16
    /// How many runs are read. Others are looked at by themselves.
    package static let maximumRuns = 1_000

    /// The run, and behind each run its children.
    package var flattened: [(record: RunRecord, events: [Event])] {
        [(record, events)] + children.flatMap(\.flattened)
    }

    /// How many children were left out, of all these runs.
    package var omittedCount: Int { children.map(\.omittedCount).reduce(omitted, +) }
}

extension Client {
    /// - Parameter limit: How many runs are read at most, the first ones of each.
    /// - Throws: `PerdureError` with `run_unknown`. Children that the store no longer has are left out.
    package func lineage(
        of id: RunID, depth: Int = Lineage.maximumDepth, limit: Int = Lineage.maximumRuns
    ) async throws -> Lineage {
        var room = limit
        return try await lineage(of: id, depth: depth, room: &room)
    }

    private func lineage(of id: RunID, depth: Int, room: inout Int) async throws -> Lineage {
        room -= 1
        var lineage = Lineage(record: try await record(id), events: try await history(of: id))
        guard depth > 0 else { return lineage }
        let children = RunView(lineage.events).children
        for (index, child) in children.enumerated() {
            guard room > 0 else {
                lineage.omitted = children.count - index
                break
            }
            do {
                lineage.children.append(try await self.lineage(of: child.run, depth: depth - 1, room: &room))
            } catch let error as PerdureError where error.code == .runUnknown {
                continue
            }
        }
        return lineage
    }

    private func unreadCount(of record: RunRecord) async throws -> Int {
        var count = 0, last: Int64 = 0
        while true {
            let page = try await guarded { try await store.inbox(run: record.number, after: last) }
            count += page.rows.count
            guard page.hasMore, let end = page.rows.last?.number else { return count }
            last = end
        }
    }

    private func explainQueue(of record: RunRecord, in explanation: inout RunExplanation) async throws {
        guard record.queue != nil, !record.state.isFinal,
            let position = try await guarded({ try await store.queuePosition(of: record.number) })
        else { return }
        if position.isAdmitted { return explanation.addPlace(position) }
        let queues = try await guarded { try await store.queues(namespace: record.namespace) }
        if let queue = queues.first(where: { $0.queue == position.queue }) { explanation.addWait(position, in: queue) }
    }

    /// The run's row and what is to be said of it, and of the children that it waits for.
    package func explain(
        _ id: RunID, now: Timestamp, depth: Int = Lineage.maximumDepth
    ) async throws -> (RunRecord, RunExplanation) {
        let record = try await record(id)
        let unread = try await unreadCount(of: record)
        let keys = try await guarded { try await store.awaitedKeys(of: record.number) }
        let heartbeats = try await guarded { try await store.heartbeats(of: record.number, nil) }
        let view = try await view(of: id)
        var children: [String: RunExplanation] = [:]
        for child in view.openChildren.prefix(20) where depth > 0 && !record.state.isFinal {
            do {
                children[child.subject] = try await explain(latest(of: child.run), now: now, depth: depth - 1).1
            } catch let error as PerdureError where error.code == .runUnknown {
                continue
            }
        }
        var explanation = RunExplanation(
            record, view, unread: unread, keys: keys, heartbeats: heartbeats, children: children, now: now)
        try await explainQueue(of: record, in: &explanation)
        if let stranded = try await strandedSentence(record) { explanation.add(stranded) }
        return (record, explanation)
    }
}
