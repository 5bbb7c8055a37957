import Logging
import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Synchronization
import Testing

@testable import PerdureEngine

/// Who follows what befalls runs hears of everything.
@Suite(.timeLimit(.minutes(5))) struct FollowingTests {
    typealias Kind = FollowingBench.Kind

    /// A consumer that has begun, with nothing told yet.
    private static func begun(
        _ bench: FollowingBench, _ ears: Ears, elapsed: ElapsedTime = ElapsedTime()
    ) async throws -> HistoryFollower {
        let process = try bench.process(ears, elapsed: elapsed)
        try await process.sweep()
        try await process.sweep()
        return process
    }

    // Promise: 43
    @Test(arguments: Kind.allCases)
    func `in calm every event is told once, and runs that have ended leave nothing behind`(_ kind: Kind) async throws {
        try await FollowingBench.with(kind) { bench in
            let ears = Ears(), process = try await Self.begun(bench, ears)
            var runs: [RunID] = []
            for _ in 0..<30 { runs.append(try await bench.begin()) }
            for round in 0..<4 {
                for (place, run) in runs.enumerated() where place % (round + 2) == 0 { try await bench.grow(run, by: round + 1) }
                let sweep = try await process.sweep()
                #expect(sweep.isOurs && sweep.runs == 30)
            }
            // More than a page.
            try await bench.grow(runs[3], by: 1_300)
            for run in runs.dropLast() { try await bench.end(run) }
            try await process.sweep()
            #expect(ears.heard == bench.all)
            #expect(ears.told.count == bench.all.count)
            #expect(ears.flaws.isEmpty)
            #expect(try await process.sweep() == .init(isOurs: true, runs: 1))
            try await bench.end(runs[29])
            try await process.sweep()
            #expect(ears.told.count == bench.all.count)
            #expect(try await bench.rows().map(\.key.key) == ["claim", "place"])
        }
    }

    @Test(arguments: Kind.allCases)
    func `a consumer that is new begins with the runs that are open`(_ kind: Kind) async throws {
        try await FollowingBench.with(kind) { bench in
            let over = try await bench.begin(), open = try await bench.begin()
            try await bench.grow(over)
            try await bench.end(over)
            try await bench.grow(open, by: 3)
            let ears = Ears(), process = try await Self.begun(bench, ears)
            #expect(ears.heard == bench.events(of: open))
            let late = try await bench.begin()
            try await bench.end(late)
            try await process.sweep()
            #expect(ears.heard == bench.events(of: open).union(bench.events(of: late)))
        }
    }

    @Test(arguments: Kind.allCases)
    func `what begins and ends while nobody follows is told to the next one`(_ kind: Kind) async throws {
        try await FollowingBench.with(kind) { bench in
            let ears = Ears(), open = try await bench.begin()
            _ = try await Self.begun(bench, ears)
            bench.clock.advance(by: .minutes(5))
            try await bench.end(open)
            for _ in 0..<50 { try await bench.end(try await bench.begin()) }
            let next = try bench.process(ears)
            try await next.sweep()
            #expect(ears.heard == bench.all)
            #expect(ears.told.count == bench.all.count)
        }
    }

    /// Every call of the store is the last one of a process: before it was done, and after.
    // Promise: 43
    @Test(arguments: Kind.allCases, [false, true])
    func `nothing is left out wherever a process is killed`(_ kind: Kind, _ isDone: Bool) async throws {
        var call = 0, isOver = false
        while !isOver {
            call += 1
            try await FollowingBench.with(kind) { [call] bench in
                let ears = Ears()
                _ = try await Self.begun(bench, ears)
                let runs = [try await bench.begin(), try await bench.begin(), try await bench.begin()]
                try await bench.grow(runs[0], by: 700)
                try await bench.end(runs[1])
                let mortal = MortalStore(bench.store, dies: call, isDone: isDone)
                let first = try bench.process(ears, over: mortal.store)
                bench.clock.advance(by: .minutes(1))
                for _ in 0..<3 { _ = try? await first.sweep() }
                isOver = !mortal.isDead
                let between = try await bench.begin()
                try await bench.end(runs[0])
                try await bench.end(between)
                bench.clock.advance(by: .minutes(1))
                let second = try bench.process(ears)
                for _ in 0..<3 { try await second.sweep() }
                #expect(ears.heard == bench.all, "after call \(call)")
                #expect(ears.flaws.isEmpty, "after call \(call)")
                try await bench.end(runs[2])
                try await second.sweep()
                #expect(ears.heard == bench.all, "after call \(call)")
                #expect(try await bench.rows().count == 2, "after call \(call)")
            }
        }
        #expect(call > 10)
    }

    @Test(arguments: Kind.allCases, [false, true])
    func `a consumer that is new begins with every open run, wherever a process is killed`(
        _ kind: Kind, _ isDone: Bool
    ) async throws {
        var call = 0, isOver = false
        while !isOver {
            call += 1
            try await FollowingBench.with(kind) { [call] bench in
                for _ in 0..<3 { try await bench.begin() }
                let ears = Ears(), mortal = MortalStore(bench.store, dies: call, isDone: isDone)
                let first = try bench.process(ears, over: mortal.store)
                for _ in 0..<3 { _ = try? await first.sweep() }
                isOver = !mortal.isDead
                bench.clock.advance(by: .minutes(1))
                let second = try bench.process(ears)
                for _ in 0..<3 { try await second.sweep() }
                #expect(ears.heard == bench.all, "after call \(call)")
            }
        }
        #expect(call > 10)
    }

    @Test func `what was told and not written down is told again`() async throws {
        try await FollowingBench.with(.memory) { bench in
            let ears = Ears()
            _ = try await Self.begun(bench, ears)
            let run = try await bench.begin()
            try await bench.grow(run, by: 2)
            let deaf = RefusingStore(bench.store)
            let first = try bench.process(ears, over: deaf.store)
            bench.clock.advance(by: .minutes(1))
            deaf.refuses.withLock { $0 = true }
            _ = try? await first.sweep()
            #expect(ears.told.isEmpty)
            deaf.refuses.withLock { $0 = false }
            try await first.sweep()
            ears.refuse { [deaf] _, _ in deaf.refuses.withLock { $0 = true } }
            try await bench.grow(run)
            await #expect(throws: StoreError.self) { try await first.sweep() }
            ears.refuse(nil)
            deaf.refuses.withLock { $0 = false }
            try await first.sweep()
            let last = FollowingBench.Told(run: run, seq: 4)
            #expect(ears.told.count { $0 == last } == 2)
            #expect(ears.heard == bench.all)
        }
    }

    @Test func `one process at a time works for a consumer, and another one when its time is over`() async throws {
        try await FollowingBench.with(.memory) { bench in
            let ears = Ears(), elapsed = ElapsedTime()
            let first = try await Self.begun(bench, ears), second = try bench.process(ears, elapsed: elapsed)
            let run = try await bench.begin()
            #expect(try await second.sweep() == .init())
            #expect(ears.told.isEmpty)
            // The first one stands still, and does not know that its time has passed.
            try await first.sweep()
            bench.clock.advance(by: .seconds(11))
            try await bench.grow(run, by: 5)
            #expect(try await second.sweep().isOurs)
            let rows = try await bench.rows()
            try await first.sweep()
            #expect(ears.heard == bench.all)
            // It has told some things twice, and set no mark back.
            let now = try await bench.rows()
            #expect(now.filter { $0.key.key.hasPrefix("runs/") } == rows.filter { $0.key.key.hasPrefix("runs/") })
            try await bench.end(run)
            try await second.sweep()
            #expect(ears.heard == bench.all)
        }
    }

    @Test(arguments: [false, true])
    func `who stood still while another one worked and went takes nothing from the runs that came then`(isKept: Bool) async throws
    {
        try await FollowingBench.with(.memory) { bench in
            let ears = Ears(), first = try await Self.begun(bench, ears)
            let old = try await bench.begin()
            try await first.sweep()
            try await first.sweep()
            // Another one takes over, ends with the old run, and begins with one beside it, at the revisions that the first has seen.
            bench.clock.advance(by: .seconds(11))
            let second = try bench.process(ears)
            try await bench.end(old)
            try await second.sweep()
            let other = try await bench.begin()
            for _ in 0..<3 { try await second.sweep() }
            let claim = try #require(try await bench.rows().first { $0.key.key == "claim" })
            if isKept {
                bench.clock.advance(by: .seconds(11))
            } else {
                #expect(try await bench.store.changeControl(.remove(claim.key, on: claim.revision)))
            }
            for _ in 0..<2 { try await first.sweep() }
            try await bench.grow(other, by: 3)
            try await bench.end(other)
            let third = try bench.process(ears)
            bench.clock.advance(by: .seconds(11))
            for _ in 0..<2 { try await third.sweep() }
            #expect(ears.heard == bench.all)
        }
    }

    @Test func `a claim that a clock has put far into the future is taken after its time`() async throws {
        try await FollowingBench.with(.memory) { bench in
            let ears = Ears(), elapsed = ElapsedTime()
            bench.clock.advance(by: .days(100))
            _ = try await Self.begun(bench, ears)
            bench.clock.advance(by: .days(-100))
            let second = try bench.process(ears, elapsed: elapsed)
            #expect(try await second.sweep().isOurs == false)
            elapsed.advance(by: .seconds(6))
            #expect(try await second.sweep().isOurs == false)
            elapsed.advance(by: .seconds(5))
            #expect(try await second.sweep().isOurs)
        }
    }

    @Test func `a consumer that throws for one run holds up no other`() async throws {
        try await FollowingBench.with(.memory) { bench in
            let ears = Ears(), elapsed = ElapsedTime(), process = try await Self.begun(bench, ears, elapsed: elapsed)
            let bad = try await bench.begin(), good = try await bench.begin()
            ears.refuse { record, _ in if record.id == bad { throw FollowingBench.Refused() } }
            #expect(try await process.sweep().refused == 1)
            #expect(ears.heard == bench.events(of: good))
            // It is left alone for a while.
            #expect(try await process.sweep().grown == 0)
            ears.refuse(nil)
            elapsed.advance(by: .seconds(1))
            try await process.sweep()
            #expect(ears.heard == bench.all)
            #expect(ears.told.count == 2)
            #expect(bench.log.count("what befell a run cannot be told now; trying again") == 1)
            #expect(bench.log.count("what befell runs can be told again") == 1)
        }
    }

    @Test func `a run that is quarantined is passed over with one warning`() async throws {
        try await FollowingBench.with(.memory) { bench in
            let ears = Ears(), process = try await Self.begun(bench, ears)
            let broken = try await bench.begin(), good = try await bench.begin()
            let number = try #require(try await bench.store.run(broken)).number
            try await bench.store.quarantine(number, reason: "a test says so")
            for _ in 0..<5 { try await process.sweep() }
            #expect(ears.heard == bench.events(of: good))
            #expect(bench.log.count("a run cannot be followed; passing it over") == 1)
            try await bench.grow(good)
            try await process.sweep()
            #expect(ears.heard == bench.events(of: good))
        }
    }

    @Test(arguments: Kind.allCases)
    func `runs that retention removes leave the marks, and what has their numbers is told`(_ kind: Kind) async throws {
        try await FollowingBench.with(kind) { bench in
            let ears = Ears(), process = try await Self.begun(bench, ears), kept = try await bench.begin()
            let told = try await bench.begin()
            try await bench.end(told)
            try await process.sweep()
            try await process.sweep()
            let untold = try await bench.begin()
            try await bench.end(untold)
            for _ in 0..<5 {
                bench.clock.advance(by: .days(400))
                let now = bench.clock.now()
                _ = try await bench.store.expire(ExpiryRequest(closedBefore: now, expiredBefore: now, limit: 1_000))
            }
            #expect(try await bench.store.run(untold) == nil)
            // A file gives these numbers anew.
            let next = [try await bench.begin(), try await bench.begin(), try await bench.begin()]
            for run in next { try await bench.end(run) }
            for _ in 0..<3 { try await process.sweep() }
            let known = Set([kept, told] + next), expected = bench.all.filter { known.contains($0.run) }
            #expect(ears.heard == expected)
            try await bench.end(kept)
            try await process.sweep()
            #expect(try await bench.rows().count == 2)
        }
    }

    @Test func `a history that expires before it is told is told of once`() async throws {
        try await FollowingBench.with(.memory) { bench in
            let ears = Ears(), process = try await Self.begun(bench, ears), run = try await bench.begin()
            try await process.sweep()
            try await bench.end(run)
            bench.clock.advance(by: .days(2))
            _ = try await bench.store.expire(ExpiryRequest(closedBefore: bench.clock.now(), limit: 1_000))
            for _ in 0..<3 { try await process.sweep() }
            #expect(ears.told == [.init(run: run, seq: 1)])
            #expect(bench.log.count("not all that befell a run was told, since it is gone") == 1)
            #expect(try await bench.rows().count == 2)
        }
    }

    @Test func `a run that was terminated is followed until nothing in it is in doubt`() async throws {
        try await FollowingBench.with(.memory) { bench in
            let ears = Ears(), process = try await Self.begun(bench, ears), run = try await bench.begin()
            let effect: JSONValue = .string("at_most_once")
            try await bench.commit(
                run,
                [
                    EventDraft(.stepIntended, subject: "pay", attributes: .make(("attempt", 1), ("effect", effect))),
                    EventDraft(.stepInDoubt, subject: "pay", attributes: .make(("reason", "terminated"))),
                    EventDraft(.runTerminated),
                ], to: .init(to: .terminated))
            #expect(try await process.sweep().grown == 1)
            #expect(try await process.sweep().runs == 1)
            #expect(ears.heard == bench.all)
        }
    }

    @Test func `where history was put back and went on in another way, a run is told from its beginning`() async throws {
        try await FollowingBench.with(.memory) { bench in
            let ears = Ears()
            _ = try await Self.begun(bench, ears)
            let run = try await bench.begin()
            try await bench.grow(run, by: 4)
            bench.clock.advance(by: .minutes(1))
            try await bench.process(ears).sweep()
            let row = try #require(try await bench.rows().first { $0.key.key.hasPrefix("runs/") })
            let number = try #require(try await bench.store.run(run)).number
            let other = JSONValue.array([.array([.init(Int(number)), 3, "0123456789abcdef"])])
            #expect(try await bench.store.changeControl(.put(row.key, on: row.revision, value: other.canonicalBytes)))
            bench.clock.advance(by: .minutes(1))
            let process = try bench.process(ears)
            try await process.sweep()
            #expect(ears.told.count == 10)
            #expect(ears.heard == bench.all)
        }
    }

    @Test func `marks that cannot be read are as good as none`() async throws {
        try await FollowingBench.with(.memory) { bench in
            let ears = Ears()
            _ = try await Self.begun(bench, ears)
            let run = try await bench.begin()
            bench.clock.advance(by: .minutes(1))
            try await bench.process(ears).sweep()
            let row = try #require(try await bench.rows().first { $0.key.key.hasPrefix("runs/") })
            #expect(try await bench.store.changeControl(.put(row.key, on: row.revision, value: Array("nonsense".utf8))))
            try await bench.grow(run)
            bench.clock.advance(by: .minutes(1))
            try await bench.process(ears).sweep()
            #expect(ears.heard == bench.all)
            #expect(ears.told.count == 3)
        }
    }

    @Test func `only an operator's client follows`() async throws {
        try await FollowingBench.with(.memory) { bench in
            let client = try bench.follower(of: bench.store).confined(to: "shop")
            let error = #expect(throws: PerdureError.self) {
                try HistoryFollower("spans", client: client, logger: Logger(label: "test")) { _, _ in }
            }
            #expect(error?.code == .usage)
            let unnamed = #expect(throws: PerdureError.self) {
                try HistoryFollower("a/b", client: bench.follower(of: bench.store), logger: Logger(label: "test")) { _, _ in }
            }
            #expect(unnamed?.code == .nameInvalid)
        }
    }

    @Test func `a follower that is shut down gives its claim up`() async throws {
        try await FollowingBench.with(.memory) { bench in
            let ears = Ears(), run = try await bench.begin()
            let process = try bench.process(ears)
            let task = Task { await process.run() }
            while ears.heard != bench.all { await Task.yield() }
            try await bench.end(run)
            while ears.heard != bench.all { await Task.yield() }
            task.cancel()
            await task.value
            #expect(try await bench.rows().contains { $0.key.key == "claim" } == false)
        }
    }
}
