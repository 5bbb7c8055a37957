import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

/// Runs that begin with a copy of another one's history.
@Suite(.timeLimit(.minutes(2))) struct ForkTests {
    /// Two effects that can be undone, a wait, and an end that a signal decides.
    private static func flow(_ harness: EngineHarness) -> Flow {
        let effects = harness.effects
        return Flow { input, context in
            let first = try context.uuid("first")
            try await context.steps("one", "two", input: input, effects)
            let word = try await context.signal(Poke.self)
            if word == "fail" { throw Hiccup() }
            return "\(first) \(try context.uuid("second"))"
        }
    }

    // Promise: 25
    @Test func `a fork goes on by itself from what had been done, and its source does too`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow(harness) }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            let client = try harness.engine.client
            let fork = try await client.fork(run, at: 2, reason: "what if", by: EngineHarness.bob)
            try await harness.until(fork, is: .waiting)
            #expect(harness.effects.all == ["one", "two", "two"])
            let started = try await harness.attributes(.runStarted, of: fork)
            let source = try await harness.history(run)
            try #require(source.count > 1)
            #expect(started["fork"]?["run"]?.stringValue == run.description && started["fork"]?["seq"] == 2)
            #expect(started["fork"]?["hash"]?.stringValue == "\(source[1].hash)")
            #expect(started["build"] == "build-1")
            #expect(try await harness.attributes(.runForked, of: fork)["by"]?["id"] == "bob")
            for id in [run, fork] { try await client.signal(id, Poke.self, "s", by: EngineHarness.bob) }
            let (one, other) = (try await harness.result(run), try await harness.result(fork))
            // What was derived by then is the same; what is derived later is each one's own.
            #expect(one.prefix(36) == other.prefix(36) && one.suffix(36) != other.suffix(36))
            #expect(try await harness.problems(run) == [])
            #expect(try await harness.problems(fork) == [])
        }
    }

    @Test func `a fork undoes what it did, and nothing of what it has copied`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow(harness) }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            let client = try harness.engine.client
            try await client.terminate(run, by: EngineHarness.bob)
            try await harness.until(run, is: .terminated)
            let fork = try await client.fork(run, at: 2, key: "again", by: EngineHarness.bob)
            #expect(try await client.fork(run, at: 2, key: "again", by: EngineHarness.bob) == fork)
            let conflict = await #expect(throws: PerdureError.self) {
                try await client.fork(run, at: 3, key: "again", by: EngineHarness.bob)
            }
            #expect(conflict?.code == .runConflict)
            try await client.signal(fork, Poke.self, "fail", by: EngineHarness.bob)
            try await harness.until(fork, is: .failed)
            #expect(harness.effects.all == ["one", "two", "two", "undo two"])
            #expect(try await harness.problems(fork) == [])
            let refused = await #expect(throws: PerdureError.self) { try await client.fork(run, at: 99, by: EngineHarness.bob) }
            #expect(refused?.code == .forkRefused)
        }
    }

    @Test func `what was approved is done by the source alone; the fork asks again`() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    for name in ["one", "two"] {
                        try await context.act(
                            name, input: input, .atMostOnce(inDoubt: .askPerson), policy: .plain(),
                            approval: .required(by: .anyone, within: .days(1)), irreversible: "x"
                        ) { _, _ in effects.add(name) }
                    }
                    return input
                }
            }
            let run = try await harness.start().id
            let client = try harness.engine.client
            func approve(_ run: RunID, _ step: String) async throws {
                try await harness.until(run, has: "approval.requested \(step)")
                let open = try #require(try await client.pendingApprovals(of: run).first)
                try await client.decide(open, approve: true, by: EngineHarness.bob)
            }
            try await approve(run, "one")
            try await harness.until(run, has: "approval.requested two")
            let events = try await harness.history(run)
            let decided = try #require(events.first { $0.kind == .approvalDecided }?.seq)
            let succeeded = try #require(events.first { $0.kind == .stepSucceeded }?.seq)
            // Approved, and not used: asked again.
            let early = try await client.fork(run, at: decided, by: EngineHarness.ada)
            try await harness.until(early, has: "approval.requested one")
            #expect(try await client.pendingApprovals(of: early).count == 1)
            // Used, and done: copied.
            let late = try await client.fork(run, at: succeeded, by: EngineHarness.ada)
            try await approve(late, "two")
            #expect(try await harness.result(late) == "x")
            #expect(effects.all == ["one", "two"])
            #expect(try await harness.problems(late) == [])
            #expect(try await harness.problems(early) == [])
        }
    }

    @Test func `a run that was reset is forked behind its reset, and its fork is reset, but not into the copy`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow(harness) }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            let client = try harness.engine.client
            try await client.reset(run, to: 2, completed: .keep, by: EngineHarness.bob)
            try await harness.until(run, has: "step.succeeded two", times: 2)
            let last = try #require(try await harness.history(run).last { $0.kind == .stepSucceeded }?.seq)
            let fork = try await client.fork(run, at: last, by: EngineHarness.bob)
            try await harness.until(fork, is: .waiting)
            #expect(harness.effects.all == ["one", "two", "two"])
            let error = await #expect(throws: PerdureError.self) { try await client.reset(fork, to: 2, by: EngineHarness.bob) }
            #expect(error?.code == .resetRefused)
            try await client.signal(fork, Poke.self, "s", by: EngineHarness.bob)
            _ = try await harness.result(fork)
            #expect(try await harness.problems(fork) == [])
        }
    }

    @Test func `a fork goes on with the code of another version`() async throws {
        try await withEngines { harness in
            try await harness.open {
                Self.flow(harness)
                NewerFlow { input, context in
                    try await context.step(
                        "one", input: input, .idempotent(retention: .forever), policy: .plain(), { _, _ in "" }, undo: { _, _ in }
                    )
                    return try context.patched("mended") ? "mended" : "not"
                }
            }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            let fork = try await harness.engine.client.fork(run, at: 2, version: "2", by: EngineHarness.bob)
            #expect(try await harness.result(fork) == "mended")
        }
    }

    // MARK: Crashes

    @Test(
        arguments: [EventKind.stepSucceeded, .signalReceived, .undoStarted, .undoSucceeded, .runFailed] as [EventKind],
        [true, false])
    func `a death at any commit of a fork changes nothing of what comes of it`(_ kind: EventKind, isBefore: Bool) async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow(harness) }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            harness.script.set { call in
                guard case .commit(_, let items) = call, items.contains(where: { $0.records(kind) }) else { return .apply }
                return isBefore ? .dieBefore : .dieAfter
            }
            let fork = try await harness.engine.client.fork(run, at: 2, by: EngineHarness.bob)
            let isPoked = Mutex(false)
            try await harness.until {
                if harness.isDead { return true }
                if try await harness.record(fork).state == .waiting, !isPoked.withLock({ $0 }) {
                    isPoked.withLock { $0 = true }
                    try await harness.observer().signal(fork, Poke.self, "fail", by: EngineHarness.bob)
                }
                return false
            }
            harness.script.set(nil)
            try await harness.crash()
            try await harness.open { Self.flow(harness) }
            if !isPoked.withLock({ $0 }) {
                try await harness.engine.client.signal(fork, Poke.self, "fail", by: EngineHarness.bob)
            }
            try await harness.until(fork, is: .failed)
            let all = harness.effects.all
            #expect(all.count { $0 == "one" } == 1 && !all.contains("undo one"))
            #expect(all.count { $0 == "two" } >= 2 && all.contains("undo two"))
            #expect(try await harness.count("step.succeeded two", in: fork) == 1)
            #expect(try await harness.count("run.forked", in: fork) == 1)
            #expect(try await harness.record(run).state == .waiting)
            #expect(try await harness.problems(fork) == [])
        }
    }

    @Test(arguments: [true, false])
    func `a fork that is asked for again after a death is made once`(isBefore: Bool) async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow(harness) }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            harness.script.set { call in
                guard case .commit(_, let items) = call, items.contains(where: \.isCreation) else { return .apply }
                return isBefore ? .dieBefore : .dieAfter
            }
            let client = try harness.engine.client
            await #expect(throws: PerdureError.self) { try await client.fork(run, at: 2, key: "k", by: EngineHarness.bob) }
            harness.script.set(nil)
            try await harness.crash()
            try await harness.open { Self.flow(harness) }
            let fork = try await harness.engine.client.fork(run, at: 2, key: "k", by: EngineHarness.bob)
            try await harness.until(fork, is: .waiting)
            #expect(try await harness.observer().store.runs(RunFilter(limit: 10)).count == 2)
            #expect(harness.effects.all == ["one", "two", "two"])
        }
    }

    // MARK: Other kinds of runs

    @Test func `a fork of a fork sees the random values of both, and then its own`() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    var words: [String] = []
                    for name in ["a", "b", "c"] {
                        let word = "\(try context.uuid(name))"
                        words.append(try await context.read(name, input: word) { word, _ in word })
                        _ = try await context.signal(Poke.self)
                    }
                    return words.joined(separator: " ")
                }
            }
            let run = try await harness.start().id
            let client = try harness.engine.client
            func pokeToTheEnd(_ run: RunID, after names: [String] = ["a", "b", "c"]) async throws -> [Substring] {
                for name in names {
                    // One at a time: a poke that came before the step it follows would be copied with it.
                    try await harness.until(run, has: "step.succeeded \(name)")
                    try await client.signal(run, Poke.self, "on", by: EngineHarness.bob)
                }
                return try await harness.result(run).split(separator: " ")
            }
            try await harness.until(run, has: "step.succeeded a")
            let fork = try await client.fork(run, at: 2, by: EngineHarness.bob)
            let first = try await pokeToTheEnd(fork)
            let second = try #require(
                try await harness.history(fork).first { $0.kind == .stepSucceeded && $0.subject == "b" }?.seq)
            let again = try await client.fork(fork, at: second, by: EngineHarness.bob)
            let next = try await pokeToTheEnd(again, after: ["b", "c"])
            let source = try await pokeToTheEnd(run)
            try #require(first.count == 3 && next.count == 3 && source.count == 3)
            #expect(first[0] == source[0] && first[1] != source[1] && first[2] != source[2])
            #expect(next[..<2] == first[..<2] && next[2] != first[2] && next[2] != source[2])
            let third = try #require(
                try await harness.history(again).first { $0.kind == .stepSucceeded && $0.subject == "b" }?.seq)
            let last = try await client.fork(again, at: third, by: EngineHarness.bob)
            #expect(try await pokeToTheEnd(last, after: ["b", "c"]).prefix(2) == first[..<2])
            for run in [run, fork, again, last] { #expect(try await harness.problems(run) == []) }
        }
    }

    @Test func `a paused run, one that waits for a person, and one whose history broke later are forked`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow(harness) }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            let client = try harness.engine.client
            try await client.pause(run, by: EngineHarness.bob)
            try await harness.until(run, is: .paused)
            let events = try await harness.history(run)
            let fork = try await client.fork(run, at: Int64(events.count), by: EngineHarness.bob)
            try await harness.until(fork, is: .waiting)
            #expect(harness.effects.all == ["one", "two"])
            try await harness.stop()
            let number = try await harness.record(run).number
            try Tampering.change(harness.path, "UPDATE events SET output = '7' WHERE seq = 3 AND run = \(number)")
            try await harness.open { Self.flow(harness) }
            let later = try harness.engine.client
            try await later.unpause(run, by: EngineHarness.bob)
            try await harness.until(run, is: .quarantined)
            let broken = await #expect(throws: PerdureError.self) { try await later.fork(run, at: 3, by: EngineHarness.bob) }
            #expect(broken?.code == .storeCorrupt)
            let sound = try await later.fork(run, at: 2, by: EngineHarness.bob)
            try await harness.until(sound, is: .waiting)
            #expect(harness.effects.all == ["one", "two", "two"])
            #expect(try await harness.problems(sound) == [])
        }
    }

    @Test func `a link of a chain of continued runs is forked as the first of a chain of its own`() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    try await context.act("work", input: input, .idempotent(retention: .forever)) { input, _ in
                        effects.add("work \(input)")
                    } undo: { _, _ in
                    }
                    if input == "last" { return input }
                    try await context.continueAsNew(Flow.self, input: "last")
                }
            }
            let run = try await harness.start("first").id
            #expect(try await harness.result(run) == "last")
            let record = try await harness.record(run)
            let next = try #require(record.successor)
            let client = try harness.engine.client
            let fork = try await client.fork(run, at: 2, by: EngineHarness.bob)
            #expect(try await harness.result(fork) == "last")
            let own = try await harness.record(fork)
            #expect(own.origin == nil && own.successor != nil && own.successor != next)
            let late = try await client.fork(next, at: 1, by: EngineHarness.bob)
            #expect(try await harness.result(late) == "last")
            #expect(effects.all == ["work first", "work last", "work last", "work last"])
            for run in [fork, late] { #expect(try await harness.problems(run) == []) }
            let refused = await #expect(throws: PerdureError.self) {
                try await client.fork(run, at: Int64(try await harness.history(run).count) + 1, by: EngineHarness.bob)
            }
            #expect(refused?.code == .forkRefused)
        }
    }

    @Test func `a fork has the labels that its source has come to, and children of its own`() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Work { input, context in
                    effects.add("child \(input)")
                    if input == "b" { _ = try await context.signal(Poke.self) }
                    return input
                }
                Flow { input, context in
                    try await context.label(["stage": "begun"])
                    let first = try await context.child(Work.self, input: "a", irreversible: "x")
                    return try await first + context.child(Work.self, input: "b", irreversible: "x")
                }
            }
            let run = try await harness.start().id
            try await harness.until { effects.count("child b") == 1 }
            let client = try harness.engine.client
            let events = try await harness.history(run)
            let fork = try await client.fork(run, at: Int64(events.count), by: EngineHarness.bob)
            try await harness.until { effects.count("child b") == 2 }
            let labelled = try await harness.observer().store.runs(RunFilter(labels: ["stage": "begun"], limit: 10))
            #expect(Set(labelled.map(\.id)) == [run, fork])
            let children = RunView(try await harness.history(fork)).children.map(\.run)
            let others = RunView(events).children.map(\.run)
            try #require(children.count == 2 && others.count == 2)
            #expect(children[0] == others[0] && children[1] != others[1])
            for child in [children[1], others[1]] { try await client.signal(child, Poke.self, "go", by: EngineHarness.bob) }
            #expect(try await harness.result(run) == "ab")
            #expect(try await harness.result(fork) == "ab")
            #expect(effects.count("child a") == 1)
            #expect(try await harness.problems(fork) == [])
        }
    }
}

extension CommitItem {
    fileprivate var isCreation: Bool { if case .create = self { true } else { false } }
}
