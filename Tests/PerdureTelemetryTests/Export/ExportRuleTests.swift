import Foundation
import Synchronization
import Testing

@testable import PerdureTelemetry

@Suite struct ExportRuleTests {
    @Test(arguments: [429, 502, 503, 504])
    func `a receiver that is busy is asked again when it says`(status: Int) {
        let now = Date(timeIntervalSince1970: 784_111_767)
        func reply(_ after: String?) -> OTLPReply { HTTPTransport.reply(status, retryAfter: after, [], now: now) }
        #expect(reply(nil) == .notNow("status \(status)"))
        #expect(reply("7") == .notNow("status \(status)", after: .seconds(7)))
        #expect(reply("Sun, 06 Nov 1994 08:49:37 GMT") == .notNow("status \(status)", after: .seconds(10)))
        #expect(reply("Sun, 06 Nov 1994 08:49:00 GMT") == .notNow("status \(status)", after: .zero))
        #expect(reply("soon") == .notNow("status \(status)"))
    }

    @Test(arguments: [301, 307, 400, 401, 404, 413, 500, 501, 505])
    func `what a receiver refuses is not sent again`(status: Int) {
        let body = ProtobufWriter.message { $0.string("no", at: 2) }
        #expect(HTTPTransport.reply(status, retryAfter: "1", body, now: Date()) == .refused("status \(status): no"))
    }

    @Test func `an answer that cannot be read is taken for one that took everything`() {
        #expect(HTTPTransport.reply(200, retryAfter: nil, [0x0A, 9], now: Date()) == .taken(ExportResponse()))
    }

    @Test func `the pause grows to half a minute, is spread, and ends with the patience`() {
        let rule = RetryRule(patience: .seconds(300))
        func waits(_ chance: Double) -> [Duration?] {
            [1, 2, 3, 5, 6, 7, 1_000].map { rule.wait(afterTries: $0, waited: .zero, asked: nil, chance: chance) }
        }
        #expect(waits(1) == [1, 2, 4, 16, 30, 30, 30].map { .seconds($0) })
        #expect(waits(0) == [0.5, 1, 2, 8, 15, 15, 15].map { .seconds($0) })
        #expect(rule.wait(afterTries: 1, waited: .seconds(299), asked: .seconds(2), chance: 1) == nil)
        #expect(rule.wait(afterTries: 1, waited: .seconds(298), asked: .seconds(2), chance: 0) == .seconds(2))
    }

    @Test func `who asks for a time gets at least that, and who asks for none is not asked again at once`() {
        let rule = RetryRule(patience: .seconds(300))
        #expect(rule.wait(afterTries: 1, waited: .zero, asked: .seconds(7), chance: 1) == .seconds(7.5))
        #expect(rule.wait(afterTries: 6, waited: .zero, asked: .zero, chance: 0) == .seconds(15))
        #expect(rule.wait(afterTries: 6, waited: .zero, asked: .zero, chance: 1) == .seconds(30))
    }

    @Test func `losses are told at once, then once a minute, and the rest at the end`() {
        let log = LogKeeper(), now = Mutex(Duration.zero)
        let losses = ExportLosses(log.logger) { now.withLock { $0 } }
        for second in 0..<130 {
            now.withLock { $0 = .seconds(second) }
            losses.note(2, .traces, "it is full")
        }
        losses.tell(isLast: true)
        losses.tell(isLast: true)
        #expect(log.messages == [2, 120, 120, 18].map { "telemetry is dropped traces=\($0) traces_reason=it is full" })
        #expect(losses.dropped(of: .traces) == 260 && losses.dropped(of: .logs) == 0)
    }

    @Test func `each signal has a reason of its own, and a receiver's remark is told once`() {
        let log = LogKeeper(), now = Mutex(Duration.zero)
        let losses = ExportLosses(log.logger) { now.withLock { $0 } }
        losses.note(1, .logs, "a")
        losses.note(2, .traces, "b")
        losses.note(3, .logs, "c")
        losses.remark("slower please", .traces)
        losses.remark("slower please", .traces)
        losses.tell(isLast: false)
        #expect(log.messages.count == 2)
        now.withLock { $0 = .seconds(61) }
        losses.tell(isLast: false)
        #expect(
            log.messages == [
                "telemetry is dropped logs=1 logs_reason=a", "a receiver says something about telemetry traces=slower please",
                "telemetry is dropped logs=3 logs_reason=c traces=2 traces_reason=b",
            ])
    }

    // MARK: The queue

    private static func queue(_ change: (inout OTLPConfiguration) -> Void = { _ in }) -> BatchQueue {
        var limits = OTLPConfiguration(endpoints: [:], resource: [])
        change(&limits)
        return BatchQueue(limits)
    }

    private static func next(_ queue: BatchQueue) async -> [[UInt8]]? { await queue.next(sleep: waitForCancellation) }

    @Test func `a queue takes no more items and no more bytes than it may`() {
        let byItems = Self.queue { $0.queueItems = 3 }
        #expect((0..<5).map { _ in byItems.offer([1]) } == [true, true, true, false, false])
        let byBytes = Self.queue { $0.queueBytes = 10 }
        #expect([6, 5, 4, 1].map { byBytes.offer([UInt8](repeating: 0, count: $0)) } == [true, false, true, false])
        #expect(byBytes.empty() == 2)
        #expect(byBytes.offer([UInt8](repeating: 0, count: 10)))
    }

    @Test func `a batch goes when it is full, and has no more items and bytes than it may`() async {
        let queue = Self.queue { limits in
            limits.batchItems = 3
            limits.batchBytes = 10
        }
        for size in [1, 1, 1, 6, 6, 20, 1] { _ = queue.offer([UInt8](repeating: 0, count: size)) }
        var sizes: [[Int]] = []
        for _ in 0..<4 { sizes.append(await Self.next(queue)?.map(\.count) ?? []) }
        #expect(sizes == [[1, 1, 1], [6], [6], [20]])
    }

    @Test func `a batch that is not full goes when its time is up, and the rest at the end`() async {
        let queue = Self.queue()
        _ = queue.offer([1])
        #expect(await queue.next { _ in } == [[1]])
        _ = queue.offer([2])
        queue.finish()
        #expect(!queue.offer([3]))
        #expect(await Self.next(queue) == [[2]])
        #expect(await Self.next(queue) == nil)
    }

    @Test(.timeLimit(.minutes(1))) func `who waits for a batch comes back when it is cancelled`() async {
        let queue = Self.queue()
        let task = Task { await Self.next(queue) }
        task.cancel()
        #expect(await task.value == nil)
    }
}
