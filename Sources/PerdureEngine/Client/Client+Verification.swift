package import Perdure
import PerdureHistory
package import PerdureStore

// A history held against its row and against those of its relatives: children, the run that continues it, the one that it was forked from.
extension Client {
    /// What can be said of a run as a whole.
    package struct Verification: Sendable {
        package let record: RunRecord
        package let report: HistoryVerifier.Report
        /// The children that its history names.
        package let children: [RunID]
    }

    /// Reads the history whole and checks it.
    ///
    /// - Throws: `PerdureError`; one that is about this history alone if it cannot be read.
    package func verification(of first: RunRecord) async throws -> Verification {
        let (record, events) = try await consistent(first)
        var verifier = HistoryVerifier(record)
        verifier.add(events)
        try await checkRelatives(of: record, events, with: &verifier)
        return Verification(record: record, report: verifier.finish(), children: RunView(events).children.map(\.run))
    }

    func checkRelatives(of record: RunRecord, _ events: [Event], with verifier: inout HistoryVerifier) async throws {
        let children = RunView(events).children.map(\.run), named = NamedChildren(events)
        if let next = record.successor {
            do {
                let next = try await self.record(next)
                if next.tombstone == nil {
                    let (next, nextEvents) = try await consistent(next)
                    verifier.checkSuccession(events, next, nextEvents)
                }
            } catch let error as PerdureError where error.isToldOfElsewhere {}
        }
        for child in try await withEnds(children) {
            do {
                let child = try await self.record(child)
                // Of an expired one nothing is left to compare with.
                guard child.tombstone == nil else { continue }
                let (childRecord, childEvents) = try await consistent(child)
                verifier.compare(named, childRecord, childEvents)
            } catch let error as PerdureError where error.isToldOfElsewhere {
                continue
            }
        }
        if let origin = try await origin(of: events) { verifier.checkOrigin(events, origin) }
    }

    /// Children that were continued, and where they have come to.
    private func withEnds(_ children: [RunID]) async throws -> [RunID] {
        var all = children
        for child in children {
            do {
                let latest = try await latest(of: child)
                if latest != child { all.append(latest) }
            } catch let error as PerdureError where error.isToldOfElsewhere {
                continue
            }
        }
        return all
    }

    /// Of a fork the history of its source up to the event that it names, as far as that is still there and can be read.
    private func origin(of events: [Event]) async throws -> [Event]? {
        guard let origin = RunView(events.prefix(1)).origin else { return nil }
        do {
            return try await guarded {
                guard let source = try await store.run(origin.run), source.tombstone == nil else { return nil }
                // A page may end before its limit.
                var events: [Event] = []
                while case let last = events.last?.seq ?? 0, last < origin.seq {
                    let page = try await store.events(of: source.number, after: last, limit: Int(clamping: origin.seq - last))
                    if page.isEmpty { break }
                    events += page
                }
                return events
            }
        } catch let error as PerdureError where error.isAboutOneHistory {
            // That is told of by itself, where the source is verified.
            return nil
        }
    }

    /// The run may go on while it is read: row and history belong together only if the row is the same before and after.
    private func consistent(_ first: RunRecord) async throws -> (record: RunRecord, events: [Event]) {
        var record = first
        for _ in 0..<8 {
            let events = try await history(of: record.id)
            let again = try await self.record(record.id)
            if again == record { return (record, events) }
            record = again
        }
        return (record, try await history(of: record.id))
    }
}

extension PerdureError {
    /// Of a run beside the one that is verified: it is not here any more, or is told of by itself.
    package var isToldOfElsewhere: Bool { code == .runUnknown || isAboutOneHistory }
}
