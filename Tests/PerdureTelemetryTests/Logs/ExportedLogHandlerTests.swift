import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

@testable import PerdureTelemetry

@Suite struct ExportedLogHandlerTests {
    private final class Records: Sendable {
        let all = Mutex<[LogRecord]>([])
        var last: LogRecord? { all.withLock { $0.last } }

        func logger(_ label: String = "perdure") -> Logger {
            Logger(label: label) { label in
                ExportedLogHandler(label: label, now: { .epoch + .seconds(5) }) { record in
                    self.all.withLock { $0.append(record) }
                }
            }
        }
    }

    @Test(
        arguments: zip(
            [Logger.Level.info, .notice, .warning, .error, .critical], [9, 10, 13, 17, 21] as [UInt64]))
    func `a record has its level, its message and its metadata`(level: Logger.Level, severity: UInt64) throws {
        let records = Records()
        var logger = records.logger()
        logger[metadataKey: "b"] = "1"
        logger.log(level: level, "hello", metadata: ["a": ["x", "y"]])
        let record = try #require(records.last)
        #expect(record.severity == severity && record.level == level.rawValue && record.message == "hello")
        #expect(record.attributes.map(\.key) == ["logger", "a", "b"] && record.at == .epoch + .seconds(5))
        #expect(record.traceID == nil && record.spanID == nil)
    }

    @Test func `a record of a run belongs to its trace, and one of an attempt to its span`() throws {
        let records = Records(), logger = records.logger(), run = HistoryScript.child
        logger.info("x", metadata: ["run": "\(run)"])
        #expect(records.last?.traceID == TraceID(run) && records.last?.spanID == .root(of: run))
        var record = HistoryScript().record
        record.id = run
        // The spans that are sent of these attempts.
        var trace = RunTrace(record), history = HistoryScript()
        history.step(.stepAttemptFailed, "pay", ["next_at": 1])
        history.step(.stepSucceeded, "pay", attempt: 2)
        history.step(.undoStarted, "pay")
        history.step(.undoSucceeded, "pay")
        let attempts = trace.add(history.events).named("attempt pay")
        #expect(attempts.count == 3)
        for (span, metadata) in zip(attempts, [["attempt": "1"], ["attempt": "2"], ["attempt": "1", "undo": "true"]]) {
            let metadata = metadata.merging(["run": "\(run)", "step": "pay"]) { $1 }
            logger.info("x", metadata: metadata.mapValues { "\($0)" })
            #expect(records.last?.spanID == span.id)
        }
        logger.info("x", metadata: ["run": "no run", "step": "pay"])
        #expect(records.last?.traceID == nil)
    }

    @Test func `what is beneath the level, and what the exporter says itself, is not exported`() {
        let records = Records()
        records.logger().debug("x")
        records.logger(ExportedLogHandler.ownLabel).critical("x")
        #expect(records.last == nil)
    }
}
