import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

@testable import PerdureEngine

/// Many times at once, and what is left of those that no longer count.
@Suite(.timeLimit(.minutes(5))) struct SchedulerTests {
    @Test func anAlarmRingsOnceAtItsLastTime() async throws {
        let clock = ManualClock(), pulse = Pulse(), rung = Mutex<[String]>([])
        let scheduler = Scheduler(clock: ProcessClock(clock)), start = clock.now()
        @Sendable func ring(_ name: String) -> @Sendable () -> Void {
            {
                rung.withLock { $0.append(name) }
                pulse.ring()
            }
        }
        let moved = scheduler.makeAlarm(), off = scheduler.makeAlarm()
        scheduler.set(moved, at: start + .seconds(1), ring("too early"))
        scheduler.set(moved, at: start + .seconds(3), ring("moved"))
        scheduler.set(off, at: start + .seconds(1), ring("switched off"))
        scheduler.switchOff(off)
        scheduler.schedule(at: start + .seconds(2), ring("other"))
        scheduler.start()
        clock.advance(by: .seconds(2))
        try await pulse.until { rung.withLock { !$0.isEmpty } }
        clock.advance(by: .seconds(2))
        try await pulse.until { rung.withLock { $0.count > 1 } }
        // An alarm that has rung can be set again.
        scheduler.set(moved, at: start + .seconds(5), ring("again"))
        clock.advance(by: .seconds(2))
        try await pulse.until { rung.withLock { $0.count > 2 } }
        await scheduler.stop()
        #expect(rung.withLock { $0 } == ["other", "moved", "again"])
    }

    @Test func timesThatNoLongerCountDoNotPileUp() {
        let clock = ManualClock(), scheduler = Scheduler(clock: ProcessClock(clock)), start = clock.now()
        let alarms = (0..<100).map { _ in scheduler.makeAlarm() }
        for round in 0..<100 {
            for alarm in alarms { scheduler.set(alarm, at: start + .days(1 + round)) {} }
        }
        #expect(scheduler.entryCount < 300)
        for number in 0..<10_000 {
            let alarm = scheduler.makeAlarm()
            scheduler.set(alarm, at: start + .days(number)) {}
            scheduler.switchOff(alarm)
        }
        #expect(scheduler.entryCount < 400)
    }

    @Test func theEngineIsWokenAtTheEarliestTimeWhoeverNamesOneLast() async throws {
        try await withEngines { harness in
            let engine = try await harness.make { Flow { input, _ in input } }.engine
            let now = harness.clock.now(), earliest = now + .days(10) - engine.lead.span / 2
            for round in 0..<5_000 {
                DispatchQueue.concurrentPerform(iterations: 4) { engine.ringLater(at: now + .days(40 - 10 * $0)) }
                let time = engine.scheduler.time(of: engine.pumpAlarm)
                #expect(time == earliest, "round \(round)")
                engine.state.withLock { $0.scheduledPump = nil }
                engine.scheduler.switchOff(engine.pumpAlarm)
                if time != earliest { break }
            }
            try await harness.close()
        }
    }

    @Test func runsThatAreOverOrOnlyWaitKeepNoTimeInMemory() async throws {
        try await withEngines { harness in
            let engine = try await harness.open(configure: { $0.cachedRuns = 50 }) {
                Flow { input, context in
                    let text = try await context.read("look", input: input) { text, _ in text }
                    if input != "over" { try await context.sleep(for: .days(30)) }
                    return text
                }
            }
            for input in ["over", "wait"] {
                try await withThrowingTaskGroup { group in
                    for _ in 0..<300 {
                        group.addTask { _ = try await engine.start(Flow.self, input: input, by: EngineHarness.ada) }
                    }
                    try await group.waitForAll()
                }
            }
            let observer = try await harness.observer()
            try await harness.until {
                try await observer.store.counts(namespace: nil) == [.waiting: 300, .completed: 300]
            }
            try await harness.untilInMemory(of: engine) { $0 <= 50 }
            while engine.scheduler.entryCount > 100 {
                await Task.yield()
                try Task.checkCancellation()
            }
            #expect(engine.waiters.isEmpty)
            engine.state.withLock { state in
                #expect(state.rowsForLoading.isEmpty)
            }
        }
    }
}
