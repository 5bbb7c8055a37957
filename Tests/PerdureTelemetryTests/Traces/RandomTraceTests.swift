import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureTelemetry

/// Real histories of random runs. `PERDURE_SEED` repeats one; `PERDURE_CASES` sets how many.
@Suite struct RandomTraceTests {
    @Test func `whatever happens to a run, its spans hold together, in whatever pieces it is read`() async throws {
        let environment = ProcessInfo.processInfo.environment
        let first = environment["PERDURE_SEED"].flatMap(UInt64.init)
        let cases = first == nil ? environment["PERDURE_CASES"].flatMap(UInt64.init) ?? 12 : 1
        let base = first ?? UInt64.random(in: 0..<1 << 40)
        print("random runs from seed \(base)")
        var kinds: Set<EventKind> = []
        for seed in base..<base + cases {
            let all = try await RandomRuns.played(seed: seed).runs
            var families = Family()
            for (record, events) in all {
                kinds.formUnion(events.map(\.kind))
                var trace = RunTrace(record)
                let spans = trace.add(events)
                families.add(record.id, spans)
                let problems =
                    Self.structure(spans) + Self.times(spans) + Self.pieces(record, events, spans, seed)
                    + Self.completeness(events, spans)
                #expect(problems.isEmpty, "PERDURE_SEED=\(seed), run \(record.id): \(problems.prefix(3))")
                if !problems.isEmpty {
                    print(events.map { "\($0.seq) \($0.kind.rawValue) \($0.subject) \($0.attributes)" }.joined(separator: "\n"))
                }
            }
            #expect(families.problems.isEmpty, "PERDURE_SEED=\(seed): \(families.problems.prefix(3))")
        }
        // The histories have what makes it hard.
        if first == nil {
            #expect(
                kinds.isSuperset(of: [
                    .stepInDoubt, .stepResolved, .runReset, .undoSucceeded, .childStarted, .approvalDecided, .runRestored,
                ]))
        }
    }

    /// Ids are distinct, and every parent exists.
    private static func structure(_ spans: [Span]) -> [String] {
        var problems: [String] = []
        var ids: Set<SpanID> = []
        for span in spans where !ids.insert(span.id).inserted {
            problems.append("\(span.name) has the id of another span, \(span.subject ?? "") \(span.attempt ?? 0)")
        }
        if spans.filter({ $0.parent == nil }).count != 1 { problems.append("there is not one root") }
        for span in spans where span.parent.map({ !ids.contains($0) }) ?? false { problems.append("\(span.name) has no parent") }
        return problems
    }

    /// What is waited for lies within what waits, except for what is done about a run that has ended.
    private static func times(_ spans: [Span]) -> [String] {
        let byID = Dictionary(spans.map { ($0.id, $0) }) { first, _ in first }
        return spans.flatMap { span -> [String] in
            if span.start > span.end { return ["\(span.name) ends before it begins"] }
            guard let parent = span.parent.flatMap({ byID[$0] }), span.outcome != "recorded" else { return [] }
            return span.start < parent.start || span.end > parent.end ? ["\(span.name) is not within \(parent.name)"] : []
        }
    }

    /// The same bytes, whatever is read at once, and whoever reads it again from the beginning in between, as who has forgotten does.
    private static func pieces(_ record: RunRecord, _ events: [Event], _ spans: [Span], _ seed: UInt64) -> [String] {
        var dice = SeededGenerator(seed: seed), trace = RunTrace(record), found: [[UInt8]] = [], rest = events[...]
        while !rest.isEmpty {
            let piece = rest.prefix(1 + dice.roll(5))
            if dice.chance(30), let first = piece.first {
                trace = RunTrace(record)
                for event in events where event.seq < first.seq { _ = trace.add(event) }
            }
            rest = rest.dropFirst(piece.count)
            found += trace.add(piece).map(\.bytes)
        }
        return found == spans.map(\.bytes) ? [] : ["in pieces there are other spans"]
    }

    /// Whatever has begun has a span, by what is counted in the history alone.
    private static func completeness(_ events: [Event], _ spans: [Span]) -> [String] {
        let copied = events.first.flatMap { try? $0.attributes.object()["fork"]?["copied"]?.integerValue } ?? 0
        let own = events.filter { $0.seq > copied }
        func count(_ kinds: EventKind...) -> Int { own.count { kinds.contains($0.kind) } }
        func count(_ name: String) -> Int { spans.count { $0.name.hasPrefix(name + " ") } }
        var problems: [String] = []
        func expect(_ what: String, _ expected: Int) {
            if count(what) != expected { problems.append("\(count(what)) spans '\(what)' for \(expected) events") }
        }
        expect("timer", count(.timerStarted))
        expect("question", count(.questionAsked))
        expect("child", count(.childStarted))
        expect("approval", count(.approvalRequested))
        expect("signal", count(.signalReceived, .signalUndelivered))
        let ends = count(.stepSucceeded, .stepFailed, .stepCancelled)
        if count("step") < ends { problems.append("\(count("step")) spans of steps for \(ends) outcomes") }
        // Each of these is the outcome of an attempt, unless another run has done it or the step was given up unsent.
        let adopted = own.count { $0.kind == .stepSucceeded && (try? $0.attributes.object()["adopted_from"]) != nil }
        let outcomes = count(.stepSucceeded, .stepAttemptFailed, .undoSucceeded, .undoAttemptFailed) - adopted
        if count("attempt") < outcomes { problems.append("\(count("attempt")) spans of attempts for \(outcomes) outcomes") }
        return problems
    }
}

/// The links between the traces of one store.
private struct Family {
    private var links: [(from: String, Span.Link)] = []
    private var spans: [TraceID: Set<SpanID>] = [:]

    mutating func add(_ run: RunID, _ found: [Span]) {
        spans[TraceID(run), default: []].formUnion(found.map(\.id))
        for span in found { links += span.links.map { (span.name, $0) } }
    }

    var problems: [String] {
        links.compactMap { from, link in
            spans[link.traceID]?.contains(link.spanID) == true ? nil : "the link '\(link.relation)' of \(from) leads nowhere"
        }
    }
}
