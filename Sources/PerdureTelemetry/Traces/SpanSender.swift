internal import DequeModule
internal import Perdure
package import PerdureHistory
package import PerdureStore
internal import Synchronization

/// Sends the spans of runs to a receiver as soon as events close them: given the events of a run in their order, each at least once, by
/// somebody who remembers up to where.
///
/// What it gave before it computes anew from the history when it has to, since spans follow from the history alone: whoever gets one twice
/// can tell by its id. What is open in the runs that had something new last is kept in memory, of 10,000 runs at most; of others the
/// history is read again from its beginning when they have something new.
package final class SpanSender: Sendable {
    /// A page of a run's history, by the run's number: events behind a `seq`, an empty page at its end.
    package typealias Pages = @Sendable (_ run: Int64, _ after: Int64) async throws -> [Event]

    private struct Known {
        var traces: [RunID: RunTrace] = [:]
        /// In the order in which they were used, each perhaps more than once.
        var uses: Deque<(run: RunID, use: UInt64)> = []
        var lastUse: [RunID: UInt64] = [:]
        var count: UInt64 = 0
    }

    private let exporter: OTLPExporter
    private let pages: Pages
    private let mostTraces: Int
    private let known = Mutex(Known())

    package init(_ exporter: OTLPExporter, mostTraces: Int = 10_000, pages: @escaping Pages) {
        self.exporter = exporter
        self.mostTraces = max(1, mostTraces)
        self.pages = pages
    }

    /// Sends what these events have closed, and returns when the receiver has it, or has refused it for good, which counts as dropped.
    ///
    /// - Parameter events: In their order, without a gap; the ones before were sent.
    /// - Throws: What `pages` throws, and `ExportFailure` if the receiver does not take them now: then they have to be given again.
    package func send(_ record: RunRecord, _ events: [Event]) async throws {
        guard let first = events.first else { return }
        var trace = try await trace(of: record, before: first.seq)
        let spans = trace.add(events)
        if !spans.isEmpty {
            do throws(ExportFailure) {
                try await exporter.export(spans, patience: .seconds(10))
            } catch {
                guard case .refused(let reason) = error else { throw error }
                exporter.noteDropped(spans.count, of: .traces, reason)
            }
        }
        keep(trace, isOver: trace.hasEnded)
    }

    private func trace(of record: RunRecord, before seq: Int64) async throws -> RunTrace {
        if let trace = known.withLock({ $0.traces[record.id] }), trace.lastSeq == seq - 1 { return trace }
        var trace = RunTrace(record)
        while trace.lastSeq < seq - 1 {
            let page = try await pages(record.number, trace.lastSeq).prefix { $0.seq < seq }
            guard !page.isEmpty else { break }
            _ = trace.add(page)
        }
        return trace
    }

    private func keep(_ trace: RunTrace, isOver: Bool) {
        known.withLock { known in
            guard !isOver else {
                known.traces[trace.run] = nil
                known.lastUse[trace.run] = nil
                return
            }
            known.count += 1
            known.traces[trace.run] = trace
            known.lastUse[trace.run] = known.count
            known.uses.append((trace.run, known.count))
            while known.traces.count > mostTraces || known.uses.count > 4 * mostTraces, let (run, use) = known.uses.popFirst() {
                guard known.lastUse[run] == use else { continue }
                known.traces[run] = nil
                known.lastUse[run] = nil
            }
        }
    }
}
