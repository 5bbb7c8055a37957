import Testing

@testable import PerdureEngine

@Suite struct WatchdogTests {
    private let start = ContinuousClock.now
    private let log = Log()

    private func watchdog() -> Watchdog {
        Watchdog(limit: .seconds(5), now: { [start] in start }) { [log] report in
            log.add("\(report.label) \(report.duration.components.seconds)")
        }
    }

    @Test func `code within the limit is not reported`() {
        let watchdog = watchdog()
        watchdog.watch("run-1") { watchdog.check(now: start + .seconds(5)) }
        #expect(log.all == [])
    }

    @Test func `code over the limit is reported once`() {
        let watchdog = watchdog()
        watchdog.watch("run-1") {
            watchdog.check(now: start + .seconds(6))
            watchdog.check(now: start + .seconds(7))
        }
        #expect(log.all == ["run-1 6"])
    }

    @Test func `code that has ended is not reported`() {
        let watchdog = watchdog()
        watchdog.watch("run-1") {}
        watchdog.check(now: start + .seconds(60))
        #expect(log.all == [])
    }

    @Test func `the same run is reported again when it overruns again`() {
        let watchdog = watchdog()
        for _ in 0..<2 { watchdog.watch("run-1") { watchdog.check(now: start + .seconds(6)) } }
        #expect(log.all == ["run-1 6", "run-1 6"])
    }

    @Test func `every thread is watched for itself`() async {
        let watchdog = watchdog()
        let threads = EngineThreads(count: 1)
        await withCheckedContinuation { continuation in
            threads.submit {
                watchdog.watch("run-2") {
                    watchdog.watch("run-1") { watchdog.check(now: start + .seconds(6)) }
                }
                continuation.resume()
            }
        }
        #expect(log.all == ["run-2 6", "run-1 6"])
        await threads.stop()
    }

    @Test func `a report names the thread`() async {
        let log = Log()
        let watchdog = Watchdog(limit: .seconds(5), now: { [start] in start }) { log.add($0.thread) }
        let threads = EngineThreads(count: 1, name: "runs")
        await withCheckedContinuation { continuation in
            threads.submit { [start] in
                watchdog.watch("run-1") { watchdog.check(now: start + .seconds(6)) }
                continuation.resume()
            }
        }
        #expect(log.all == ["runs-1"])
        await threads.stop()
    }

    @Test func `a body that throws ends its watch`() {
        struct Failed: Error {}
        let watchdog = watchdog()
        #expect(throws: Failed.self) { try watchdog.watch("run-1") { throw Failed() } }
        watchdog.check(now: start + .seconds(60))
        #expect(log.all == [])
    }
}
