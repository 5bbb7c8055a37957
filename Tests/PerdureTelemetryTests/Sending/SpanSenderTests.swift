import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

@testable import PerdureTelemetry

@Suite(.timeLimit(.minutes(2)), .disabled(if: ReceiverProcess.isSkipped, Comment(rawValue: ReceiverProcess.skipReason)))
struct SpanSenderTests {
    /// Histories by the numbers of their runs, and which of them were read again.
    private final class Shelf: Sendable {
        private let histories: [Int64: [Event]]
        private let readings = Mutex<[Int64]>([])

        init(_ histories: [Int64: [Event]]) { self.histories = histories }

        var read: [Int64] { readings.withLock { $0 } }

        func page(_ run: Int64, _ seq: Int64) -> [Event] {
            readings.withLock { $0.append(run) }
            return Array((histories[run] ?? []).filter { $0.seq > seq }.prefix(2))
        }
    }

    private static func history(_ number: UInt64) -> (record: RunRecord, history: HistoryScript) {
        var history = HistoryScript(number)
        for step in 0..<5 { history.step(.stepSucceeded, "s\(step)") }
        history.step(.stepIntended, "pay")
        history.step(.stepInDoubt, "pay", ["reason": "terminated"])
        history.add(.runTerminated)
        history.add(.stepResolved, "pay", ["resolution": "happened"])
        var record = history.record
        record.number = Int64(number)
        return (record, history)
    }

    private static func exporter(_ receiver: ReceiverProcess, _ log: LogKeeper = LogKeeper()) throws -> OTLPExporter {
        var configuration = receiver.configuration(.http)
        configuration.lossInterval = SkippedTime.never
        configuration.metricInterval = SkippedTime.never
        return try OTLPExporter(configuration, logger: log.logger, timing: SkippedTime().timing)
    }

    private static func untilItRuns(_ exporter: OTLPExporter, _ receiver: ReceiverProcess) async throws {
        let record = LogRecord(at: .epoch, severity: 9, level: "info", message: "there", attributes: [])
        try await exporter.exportWhenRunning([record])
        _ = try await receiver.next()
    }

    private static func ids(_ receiver: ReceiverProcess, _ count: Int) async throws -> [String] {
        var ids: [String] = []
        while ids.count < count { ids += try await receiver.next().items.compactMap { $0["span_id"]?.stringValue } }
        return ids
    }

    @Test(arguments: [1, 10]) func `each event adds the spans that it closes, whether the run is remembered or read again`(
        _ mostTraces: Int
    ) async throws {
        let receiver = try await ReceiverProcess(), exporter = try Self.exporter(receiver)
        let runs = [Self.history(1), Self.history(2)]
        let shelf = Shelf([1: runs[0].history.events, 2: runs[1].history.events])
        let sender = SpanSender(exporter, mostTraces: mostTraces) { shelf.page($0, $1) }
        try await running(exporter) {
            try await Self.untilItRuns(exporter, receiver)
            for place in 0..<runs[0].history.events.count {
                for (record, history) in runs { try await sender.send(record, [history.events[place]]) }
            }
            let expected = Set(runs.flatMap { $0.history.spans.map(\.id.description) })
            let ids = try await Self.ids(receiver, expected.count)
            #expect(ids.count == expected.count && Set(ids) == expected)
        }
        // What was done about runs that had ended is read again as well.
        #expect(mostTraces == 1 ? shelf.read.count > 20 : Set(shelf.read) == [1, 2] && shelf.read.count < 15)
    }

    @Test func `what the receiver does not take now is sent when it is given again`() async throws {
        let receiver = try await ReceiverProcess(), exporter = try Self.exporter(receiver)
        let (record, history) = Self.history(1), sender = SpanSender(exporter) { _, _ in [] }
        try await running(exporter) {
            try await Self.untilItRuns(exporter, receiver)
            try await sender.send(record, Array(history.events[..<2]))
            _ = try await Self.ids(receiver, 2)
            try await receiver.turn("down")
            let failure = await #expect(throws: ExportFailure.self) { try await sender.send(record, Array(history.events[2...])) }
            if case .unavailable? = failure {} else { Issue.record("\(String(describing: failure))") }
            try await receiver.turn("up")
            try await sender.send(record, Array(history.events[2...]))
            let ids = try await Self.ids(receiver, history.spans.count - 2)
            #expect(Set(ids) == Set(history.spans.dropFirst(2).map(\.id.description)))
        }
    }

    @Test func `what the receiver refuses for good is dropped, and the run goes on`() async throws {
        let receiver = try await ReceiverProcess(), exporter = try Self.exporter(receiver)
        let (record, history) = Self.history(1), sender = SpanSender(exporter) { _, _ in [] }
        try await running(exporter) {
            try await Self.untilItRuns(exporter, receiver)
            try await receiver.answer(["status": 400])
            try await sender.send(record, Array(history.events[..<2]))
            _ = try await receiver.next()
            try await sender.send(record, Array(history.events[2...]))
            _ = try await receiver.next()
        }
        #expect(exporter.dropped(of: .traces) == 2)
    }
}
