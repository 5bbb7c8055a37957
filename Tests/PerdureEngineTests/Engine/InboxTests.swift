import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

/// Runs that are sent more than is read at once.
@Suite(.timeLimit(.minutes(5))) struct InboxTests {
    private static let many = 2 * InboxPage.limit + 300

    /// Sends signals, the last of which says so, in one commit and without telling the engine.
    private static func flood(_ store: any Store, _ run: RunID, _ count: Int = many) async throws {
        let items = (1...count).map { number in
            let payload = Array(number == count ? #""last""#.utf8 : #""one""#.utf8)
            return CommitItem.deliver(
                Delivery(
                    to: run, id: "flood \(number)", kind: .signal, name: Poke.name, payload: payload, sender: EngineHarness.bob))
        }
        for result in try await store.commit(items) {
            if case .delivered = result { continue }
            Issue.record("\(result)")
        }
    }

    /// Counts signals until the last one.
    private static let counting = Flow { _, context in
        var count = 1
        while try await context.signal(Poke.self) != "last" { count += 1 }
        return "\(count)"
    }

    @Test func whatIsReadInPartsIsCommittedInParts() async throws {
        try await withEngines { harness in
            try await harness.open { Self.counting }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            try await Self.flood(try await harness.observer().store, run.id)
            let longest = Mutex(0)
            harness.script.set { call in
                guard case .commit(_, let items) = call else { return .apply }
                for case .advance(let advance) in items { longest.withLock { $0 = max($0, advance.events.count) } }
                return .apply
            }
            try await harness.open { Self.counting }
            #expect(try await harness.result(run.id) == "\(Self.many)")
            #expect(longest.withLock { $0 } <= InboxPage.limit + 10)
        }
    }

    @Test func aMessageThatComesWhileTheInboxOfAClaimedRunIsReadIsNotLost() async throws {
        try await withEngines { harness in
            let flow = Flow { _, context in
                var words: [String] = []
                for _ in 0..<3 { words.append(try await context.signal(Poke.self)) }
                return words.joined()
            }
            try await harness.open { flow }
            let run = try await harness.start(), client = try harness.engine.client
            try await harness.until(run.id, is: .waiting)
            let gate = harness.gate(), held = Mutex(false), isArmed = Mutex(false), hasRead = Mutex(false),
                hasPassed = Mutex(false)
            harness.script.set { call in
                switch call {
                case .inbox:
                    let isFirst = held.withLock { held in
                        defer { held = true }
                        return !held
                    }
                    return isFirst ? .applyThen { await gate.hang() } : .apply
                case .ownedInbox: if isArmed.withLock({ $0 }) { hasRead.withLock { $0 = true } }
                case .nextWake: if hasRead.withLock({ $0 }) { hasPassed.withLock { $0 = true } }
                default: break
                }
                return .apply
            }
            try await client.signal(run.id, Poke.self, "a", by: EngineHarness.bob)
            try await harness.until { gate.arrivals == 1 }
            // The engine has read these by itself before it hears what stood in the inbox.
            try await client.signal(run.id, Poke.self, "b", by: EngineHarness.bob)
            isArmed.withLock { $0 = true }
            try await client.signal(run.id, Poke.self, "c", by: EngineHarness.bob)
            try await harness.until { hasPassed.withLock { $0 } }
            gate.open()
            #expect(try await harness.result(run.id) == "abc")
        }
    }

    @Test func aRunThatEndsTellsOfEverythingThatItHasNotHeard() async throws {
        try await withEngines { harness in
            let flow = Flow { _, context in try await context.signal(Poke.self) }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            try await Self.flood(try await harness.observer().store, run.id)
            try await harness.open { flow }
            #expect(try await harness.result(run.id) == "one")
            // Some are received in the batch that ends the code.
            let lines = try await harness.lines(run.id)
            #expect(lines.count { $0.hasPrefix("signal.") } == Self.many)
            #expect(lines.count { $0.hasPrefix("signal.undelivered") } >= Self.many - InboxPage.limit)
            #expect(lines.last == "run.completed")
        }
    }

    @Test func aRunWithoutItsCodeIsTerminatedThoughManyMessagesStandBefore() async throws {
        try await withEngines { harness in
            try await harness.open { Self.counting }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            let observer = try await harness.observer()
            try await Self.flood(observer.store, run.id)
            try await observer.terminate(run.id, by: EngineHarness.bob)
            try await harness.open { Work { input, _ in input } }
            try await harness.until(run.id, is: .terminated)
            let lines = try await harness.lines(run.id)
            #expect(lines.count { $0.hasPrefix("signal.undelivered") } == Self.many)
            #expect(lines.last == "run.terminated")
        }
    }

    @Test func aMessageThatCameBeforeWhatIsDueCountsFirstHoweverManyStandBeforeIt() async throws {
        try await withEngines { harness in
            let flow = Flow { input, context in
                do {
                    return try await context.timeout(.seconds(60)) { try await Self.counting.body(input, context) }
                } catch {
                    return "timed out"
                }
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            harness.clock.advance(by: .seconds(30))
            try await Self.flood(try await harness.observer().store, run.id)
            harness.clock.advance(by: .seconds(60))
            try await harness.open { flow }
            #expect(try await harness.result(run.id) == "\(Self.many)")
        }
    }

    @Test func aRunAtWorkHearsWhatComesMeanwhile() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let engine = try await harness.open {
                Flow { input, context in
                    async let held = context.read("hold", input: input) { text, _ in
                        await gate.hang()
                        return text
                    }
                    let count = try await Self.counting.body(input, context)
                    let done = try await context.read("done", input: count) { text, _ in text }
                    return try await done + held
                }
            }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            try await Self.flood(engine.client.store, run.id)
            // Rings.
            try await engine.client.signal(run.id, Poke.self, "late", by: EngineHarness.bob)
            try await harness.until(run.id, has: "step.succeeded done")
            gate.open()
            #expect(try await run.result() == "\(Self.many)x")
        }
    }
}
