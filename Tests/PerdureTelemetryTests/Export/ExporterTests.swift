import CoreMetrics
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureTelemetry

/// What arrives at a receiver that others have made.
@Suite(.timeLimit(.minutes(2)), .disabled(if: ReceiverProcess.isSkipped, Comment(rawValue: ReceiverProcess.skipReason)))
struct ExporterTests {
    private static let ways = OTLPConfiguration.Transport.allCases

    /// A history with a span of every form.
    private static var history: HistoryScript {
        var history = HistoryScript()
        history.step(.stepIntended, "pay[é]")
        history.step(.stepInDoubt, "pay[é]", ["reason": "interrupted"])
        history.add(.childStarted, "part", ["run": .string(HistoryScript.child.description)])
        history.add(.childCompleted, "part")
        history.step(.stepSucceeded, "look")
        history.add(.runFailed, "", ["code": "step_failed", "type": "Oops"])
        return history
    }

    /// Made so that nothing waits for time to pass.
    private static func configuration(
        _ receiver: ReceiverProcess, _ way: OTLPConfiguration.Transport, _ change: (inout OTLPConfiguration) -> Void = { _ in }
    ) -> OTLPConfiguration {
        var configuration = receiver.configuration(way)
        configuration.delay = .zero
        configuration.metricInterval = SkippedTime.never
        configuration.flushLimit = SkippedTime.never
        configuration.lossInterval = SkippedTime.never
        change(&configuration)
        return configuration
    }

    private static func exporter(
        _ configuration: OTLPConfiguration, _ time: SkippedTime = SkippedTime(), _ log: LogKeeper = LogKeeper(),
        metrics: MetricsRegistry? = nil
    ) throws -> OTLPExporter {
        try OTLPExporter(configuration, metrics: metrics, logger: log.logger, timing: time.timing)
    }

    private static func record(_ message: String) -> LogRecord {
        LogRecord(at: .epoch + .seconds(1), severity: 9, level: "info", message: message, attributes: [])
    }

    // MARK: What arrives

    @Test(arguments: ways) func `spans arrive as they were meant`(way: OTLPConfiguration.Transport) async throws {
        let receiver = try await ReceiverProcess(), spans = Self.history.spans
        let exporter = try Self.exporter(Self.configuration(receiver, way))
        try await running(exporter) {
            let rejected = try await exporter.exportWhenRunning(spans)
            #expect(rejected == 0)
            let request = try await receiver.next()
            #expect(request.signal == "traces" && request.resource["service.name"] == "shop")
            #expect(request.json["headers"]?["x-key"] == "secret")
            #expect(request.items.map { $0["name"]?.stringValue } == spans.map(\.name))
            for (item, span) in zip(request.items, spans) { try Self.compare(item, span) }
        }
    }

    private static func compare(_ item: JSONValue, _ span: Span) throws {
        #expect(item["trace_id"]?.stringValue == span.traceID.description)
        #expect(item["span_id"]?.stringValue == span.id.description)
        #expect(item["parent_span_id"]?.stringValue == span.parent?.description)
        #expect(item["start_time_unix_nano"]?.stringValue == "\(span.start.nanoseconds)")
        #expect(item["end_time_unix_nano"]?.stringValue == "\(span.end.nanoseconds)")
        #expect(item["flags"]?.integerValue == 0x103)
        #expect(item["status"]?["message"]?.stringValue == span.error)
        #expect(item["status"]?["code"]?.stringValue == span.error.map { _ in "STATUS_CODE_ERROR" })
        #expect(attributes(item).keys.sorted() == span.attributes.map(\.key).sorted())
        #expect(attributes(item)["perdure.subject"]?.stringValue == span.subject)
        let events = item["events"]?.arrayValue ?? [], links = item["links"]?.arrayValue ?? []
        #expect(events.map { $0["name"]?.stringValue } == span.events.map(\.name))
        #expect(links.map { $0["span_id"]?.stringValue } == span.links.map(\.spanID.description))
        #expect(links.map { attributes($0)["perdure.link"]?.stringValue } == span.links.map(\.relation))
    }

    @Test(arguments: ways) func `log records arrive as they were meant`(way: OTLPConfiguration.Transport) async throws {
        let receiver = try await ReceiverProcess(), run = HistoryScript.child
        let exporter = try Self.exporter(Self.configuration(receiver, way))
        try await running(exporter) {
            let record = LogRecord(
                at: .epoch + .seconds(3), severity: 13, level: "warning", message: "an attempt failed",
                attributes: [TelemetryAttribute("n", .int(-4)), TelemetryAttribute("b", .bool(false)), .init("d", .double(0.5))],
                traceID: TraceID(run), spanID: .root(of: run))
            #expect(exporter.offer(record))
            let request = try await receiver.next(), item = try #require(request.items.first)
            #expect(request.signal == "logs" && item["severity_number"] == "SEVERITY_NUMBER_WARN")
            #expect(item["severity_text"] == "warning" && item["body"]?["string_value"] == "an attempt failed")
            #expect(item["trace_id"]?.stringValue == TraceID(run).description)
            #expect(item["span_id"]?.stringValue == SpanID.root(of: run).description)
            #expect(item["time_unix_nano"] == "3000000000" && item["observed_time_unix_nano"] == "3000000000")
            #expect(attributes(item) == ["n": "-4", "b": .bool(false), "d": .number(0.5)])
        }
    }

    @Test(arguments: ways) func `metrics arrive at the end at the latest`(way: OTLPConfiguration.Transport) async throws {
        let receiver = try await ReceiverProcess(), metrics = MetricsRegistry { .epoch + .seconds(7) }
        Counter(label: "runs_total", dimensions: [("workflow", "ship")], factory: metrics).increment(by: 3)
        Gauge(label: "resident", factory: metrics).record(-2)
        let timer = Timer(label: "commit", factory: metrics)
        timer.recordMilliseconds(30)
        timer.recordSeconds(60)
        try await running(Self.exporter(Self.configuration(receiver, way), metrics: metrics)) {}
        let request = try await receiver.next()
        #expect(request.items.map { $0["name"] } == ["commit_seconds", "resident", "runs_total"])
        let sum = request.items[2]["sum"], point = sum?["data_points"]?[0]
        #expect(sum?["is_monotonic"] == .bool(true) && sum?["aggregation_temporality"] == "AGGREGATION_TEMPORALITY_CUMULATIVE")
        #expect(point?["as_double"] == .integer(3) || point?["as_double"] == .number(3))
        #expect(attributes(point) == ["workflow": "ship"] && point?["start_time_unix_nano"] == "7000000000")
        let gauge = request.items[1]["gauge"]?["data_points"]?[0]
        #expect(gauge?["as_double"]?.integerValue == -2 && gauge?["time_unix_nano"] == "7000000000")
        let histogram = request.items[0]["histogram"]?["data_points"]?[0]
        #expect(
            histogram?["count"] == "2" && histogram?["explicit_bounds"]?.arrayValue?.count == HistogramInstrument.seconds.count)
        let counts = histogram?["bucket_counts"]?.arrayValue?.map { $0.stringValue ?? "" } ?? []
        #expect(counts.count == HistogramInstrument.seconds.count + 1 && counts[3] == "1" && counts.last == "1")
        #expect(request.items[0]["unit"] == "s")
    }

    @Test(arguments: ways) func `many items go in batches, in their order`(way: OTLPConfiguration.Transport) async throws {
        let receiver = try await ReceiverProcess()
        let exporter = try Self.exporter(
            Self.configuration(receiver, way) { configuration in
                configuration.batchItems = 100
                configuration.batchBytes = 5_000
            })
        let messages = (0..<250).map { "\($0)" }
        try await running(exporter) {
            for message in messages { #expect(exporter.offer(Self.record(message))) }
            #expect(exporter.offer(Self.record(String(repeating: "x", count: 20_000))))
        }
        var found: [String] = [], requests: [ReceiverProcess.Request] = []
        while found.count < 251 {
            let request = try await receiver.next()
            requests.append(request)
            found += request.items.compactMap { $0["body"]?["string_value"]?.stringValue }
        }
        #expect(Array(found.prefix(250)) == messages && found.last?.count == 20_000)
        #expect(requests.allSatisfy { $0.items.count <= 100 } && requests.dropLast().allSatisfy { $0.size < 6_000 })
        #expect(requests.last?.items.count == 1 && exporter.dropped(of: .logs) == 0)
    }

    // MARK: What goes wrong

    private static let busy: [(OTLPConfiguration.Transport, JSONValue, Duration)] = [
        (.http, ["status": 429, "headers": ["retry-after": "7"]], .seconds(7.5)), (.http, ["status": 503], .seconds(1)),
        (.http, ["status": 502], .seconds(1)), (.grpc, ["status": "UNAVAILABLE"], .seconds(1)),
        (.grpc, ["status": "RESOURCE_EXHAUSTED", "retry_after": 9], .seconds(9.5)), (.grpc, ["status": "ABORTED"], .seconds(1)),
    ]

    @Test(arguments: busy) func `a receiver that is busy gets the same again when it says`(
        way: OTLPConfiguration.Transport, answer: JSONValue, pause: Duration
    ) async throws {
        let receiver = try await ReceiverProcess(), time = SkippedTime()
        let exporter = try Self.exporter(Self.configuration(receiver, way), time)
        try await receiver.answer(answer)
        try await running(exporter) {
            try await exporter.exportWhenRunning([Self.record("again")])
            let first = try await receiver.next(), second = try await receiver.next()
            #expect(first.items == second.items && first.items.count == 1)
            #expect(time.pauses == [pause])
        }
    }

    private static let refusals: [(OTLPConfiguration.Transport, JSONValue)] = [
        (.http, ["status": 400]), (.http, ["status": 500]), (.http, ["status": 307, "headers": ["location": "/v1/logs"]]),
        (.grpc, ["status": "INVALID_ARGUMENT"]), (.grpc, ["status": "RESOURCE_EXHAUSTED"]), (.grpc, ["status": "UNKNOWN"]),
    ]

    @Test(arguments: refusals) func `what a receiver refuses is dropped, counted and told once`(
        way: OTLPConfiguration.Transport, answer: JSONValue
    ) async throws {
        let receiver = try await ReceiverProcess(), time = SkippedTime(), log = LogKeeper()
        let exporter = try Self.exporter(Self.configuration(receiver, way), time, log)
        for _ in 0..<2 { try await receiver.answer(answer) }
        try await running(exporter) {
            exporter.offer(Self.record("refused"))
            _ = try await receiver.next()
            await #expect(throws: ExportFailure.self) { try await exporter.exportWhenRunning([Self.record("refused too")]) }
            _ = try await receiver.next()
            exporter.offer(Self.record("taken"))
            let last = try await receiver.next()
            #expect(last.items.first?["body"]?["string_value"] == "taken")
        }
        #expect(time.pauses.isEmpty && exporter.dropped(of: .logs) == 1)
        #expect(log.messages.count == 1)
        let message = try #require(log.messages.first)
        #expect(message.hasPrefix("telemetry is dropped logs=1 logs_reason=the receiver refuses it"))
        #expect(!message.contains("secret"))
    }

    @Test(arguments: ways) func `what a receiver rejects of a request is counted and never sent again`(
        way: OTLPConfiguration.Transport
    ) async throws {
        let receiver = try await ReceiverProcess(), log = LogKeeper()
        let exporter = try Self.exporter(Self.configuration(receiver, way), SkippedTime(), log)
        try await receiver.answer(["rejected": 2, "message": "too old"])
        try await running(exporter) {
            let rejected = try await exporter.exportWhenRunning(["a", "b", "c"].map(Self.record))
            exporter.offer(Self.record("next"))
            let first = try await receiver.next(), second = try await receiver.next()
            #expect(rejected == 2 && first.items.count == 3 && second.items.count == 1)
        }
        #expect(exporter.dropped(of: .logs) == 2)
        #expect(log.messages == ["telemetry is dropped logs=2 logs_reason=the receiver rejected a part: too old"])
    }

    @Test(arguments: ways) func `a receiver that was down gets everything when it is back`(
        way: OTLPConfiguration.Transport
    ) async throws {
        let receiver = try await ReceiverProcess()
        let exporter = try OTLPExporter(
            Self.configuration(receiver, way) { $0.flushLimit = .seconds(60) }, logger: LogKeeper().logger)
        try await running(exporter) {
            try await exporter.exportWhenRunning([Self.record("before")])
            _ = try await receiver.next()
            try await receiver.turn("down")
            for number in 0..<20 { #expect(exporter.offer(Self.record("\(number)"))) }
            try await receiver.turn("up")
        }
        var found: [String] = []
        while found.count < 20 {
            found += try await receiver.next().items.compactMap { $0["body"]?["string_value"]?.stringValue }
        }
        #expect(found == (0..<20).map { "\($0)" } && exporter.dropped(of: .logs) == 0)
    }

    @Test(arguments: ways) func `a receiver that stays away is given up when the patience is over`(
        way: OTLPConfiguration.Transport
    ) async throws {
        let receiver = try await ReceiverProcess(), time = SkippedTime()
        let exporter = try Self.exporter(Self.configuration(receiver, way), time)
        try await receiver.turn("down")
        try await running(exporter) {
            let failure = await #expect(throws: ExportFailure.self) { try await exporter.exportWhenRunning([Self.record("x")]) }
            if case .unavailable? = failure {} else { Issue.record("\(String(describing: failure))") }
        }
        #expect(Array(time.pauses.prefix(6)) == [1, 2, 4, 8, 16, 30].map { Duration.seconds($0) })
        #expect(time.pauses.reduce(.zero, +) <= .seconds(300) && exporter.dropped(of: .logs) == 0)
    }

    @Test(arguments: ways) func `a receiver that never answers holds up neither who offers nor the end, and memory is bounded`(
        way: OTLPConfiguration.Transport
    ) async throws {
        let receiver = try await ReceiverProcess(), log = LogKeeper()
        var configuration = Self.configuration(receiver, way) { configuration in
            configuration.queueItems = 100
            configuration.batchItems = 10
            configuration.flushLimit = .milliseconds(10)
        }
        for signal in TelemetrySignal.allCases { configuration.endpoints[signal]?.timeout = .seconds(60) }
        let exporter = try OTLPExporter(configuration, logger: log.logger)
        try await receiver.answer(["silent": true])
        try await running(exporter) {
            exporter.offer(Self.record("first"))
            _ = try await receiver.next()
            let taken = (0..<1_000).filter { _ in exporter.offer(Self.record("x")) }.count
            #expect(taken == 100 && exporter.dropped(of: .logs) == 900)
        }
        #expect(exporter.dropped(of: .logs) == 1_001)
        try #require(log.messages.count == 2)
        #expect(log.messages[0].hasPrefix("telemetry is dropped logs=1 logs_reason=the queue is full"))
        #expect(log.messages[1].hasPrefix("telemetry is dropped logs=1000"))
    }

    @Test(arguments: ways) func `an answer that does not come in time is asked for again`(
        way: OTLPConfiguration.Transport
    ) async throws {
        let receiver = try await ReceiverProcess()
        var configuration = Self.configuration(receiver, way)
        configuration.endpoints[.logs]?.timeout = .milliseconds(300)
        let exporter = try Self.exporter(configuration)
        try await receiver.answer(["silent": true])
        try await running(exporter) {
            try await exporter.exportWhenRunning([Self.record("x")])
            let first = try await receiver.next(), second = try await receiver.next()
            #expect(first.items == second.items && exporter.dropped(of: .logs) == 0)
        }
    }

    @Test(arguments: [JSONValue.string("silent"), "stalls"])
    func `an answer that begins and does not end is asked for again`(way: JSONValue) async throws {
        let receiver = try await ReceiverProcess()
        var configuration = Self.configuration(receiver, .http)
        configuration.endpoints[.logs]?.timeout = .milliseconds(300)
        let exporter = try Self.exporter(configuration)
        try await receiver.answer(.object(JSONObject([(way.stringValue ?? "", .bool(true))])))
        try await running(exporter) {
            try await exporter.exportWhenRunning([Self.record("x")])
            let first = try await receiver.next(), second = try await receiver.next()
            #expect(first.items == second.items && exporter.dropped(of: .logs) == 0)
        }
    }

    @Test(arguments: ways) func `what a receiver says of what it took is told`(way: OTLPConfiguration.Transport) async throws {
        let receiver = try await ReceiverProcess(), log = LogKeeper()
        let exporter = try Self.exporter(Self.configuration(receiver, way), SkippedTime(), log)
        try await receiver.answer(["rejected": 0, "message": "slower please"])
        try await running(exporter) {
            let rejected = try await exporter.exportWhenRunning([Self.record("x")])
            #expect(rejected == 0)
        }
        #expect(exporter.dropped(of: .logs) == 0)
        #expect(log.messages == ["a receiver says something about telemetry logs=slower please"])
    }

    @Test func `a receiver that has the limits of gRPC takes a full batch`() async throws {
        let receiver = try await ReceiverProcess(), exporter = try Self.exporter(Self.configuration(receiver, .grpc))
        let text = String(repeating: "x", count: 100_000)
        for _ in 0..<2 { try await receiver.answer(["brief": true]) }
        try await running(exporter) {
            let rejected = try await exporter.exportWhenRunning((0..<60).map { _ in Self.record(text) })
            #expect(rejected == 0)
            let sizes = [try await receiver.next().size, try await receiver.next().size]
            #expect(sizes.allSatisfy { $0 < 4 << 20 } && sizes.reduce(0, +) > 6_000_000)
        }
    }

    @Test(arguments: ways) func `who no longer wants it is let go while a receiver is away`(
        way: OTLPConfiguration.Transport
    ) async throws {
        let receiver = try await ReceiverProcess()
        let exporter = try OTLPExporter(Self.configuration(receiver, way), logger: LogKeeper().logger)
        try await running(exporter) {
            try await exporter.exportWhenRunning([Self.record("there")])
            try await receiver.turn("down")
            let task = Task { try await exporter.export([Self.record("x")]) }
            task.cancel()
            await #expect(throws: ExportFailure.cancelled) { try await task.value }
        }
    }

    @Test func `metrics go again and again, as they are by then`() async throws {
        let receiver = try await ReceiverProcess(), metrics = MetricsRegistry { .epoch + .seconds(7) }
        let counter = Counter(label: "runs_total", factory: metrics)
        let configuration = Self.configuration(receiver, .http) { $0.metricInterval = .milliseconds(5) }
        try await running(OTLPExporter(configuration, metrics: metrics, logger: LogKeeper().logger)) {
            // Each time it counts on only when what it counted before has come.
            for expected in Int64(1)...3 {
                counter.increment()
                var value: Int64 = -1
                while value < expected {
                    let point = try await receiver.next().items.first?["sum"]?["data_points"]?[0]
                    value = try #require(point?["as_double"]?.integerValue)
                    #expect(value <= expected)
                }
            }
        }
    }

    @Test func `a signal without a receiver is passed over`() async throws {
        let receiver = try await ReceiverProcess(), log = LogKeeper()
        var configuration = Self.configuration(receiver, .http)
        configuration.endpoints[.logs] = nil
        let exporter = try Self.exporter(configuration, SkippedTime(), log)
        try await running(exporter) { #expect(!exporter.offer(Self.record("x"))) }
        #expect(exporter.dropped(of: .logs) == 0 && log.messages.isEmpty)
    }

    @Test func `an exporter that does not run takes nothing for good`() async throws {
        let receiver = try await ReceiverProcess()
        let exporter = try Self.exporter(Self.configuration(receiver, .http))
        await #expect(throws: ExportFailure.stopped) { try await exporter.export([Self.record("x")]) }
        try await running(exporter) {}
        await #expect(throws: ExportFailure.stopped) { try await exporter.export([Self.record("x")]) }
        #expect(!exporter.offer(Self.record("x")))
    }
}
