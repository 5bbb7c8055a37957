import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import Testing

private struct Unclear: Error {}

/// A backup that is put in the place of a file: what was done since stands in no history.
@Suite(.timeLimit(.minutes(5))) struct RestoredStoreTests {
    private func flow(_ harness: EngineHarness) -> Flow {
        let effects = harness.effects
        return Flow { _, context in
            let word = try await context.signal(Poke.self)
            let sent = try await context.step("send", input: word, .idempotent(retention: .forever), irreversible: "x") {
                word, step in
                effects.add("send", key: step.idempotencyKey)
                return word
            }
            return try await context.step("pay", input: sent, .atMostOnce(inDoubt: .askPerson), irreversible: "x") { word, _ in
                effects.add("pay")
                return word
            }
        }
    }

    /// Lets a run wait, keeps a copy of the file, lets the run end, and puts the copy back.
    private func goBack(_ harness: EngineHarness) async throws -> RunID {
        try await harness.open { flow(harness) }
        let run = try await harness.start().id
        try await harness.until { try await harness.engine.client.run(run).state == "waiting" }
        try await harness.stop()
        let backup = harness.path + ".backup", files = FileManager.default
        try files.copyItem(atPath: harness.path, toPath: backup)
        try await harness.open { flow(harness) }
        try await harness.engine.client.signal(run, Poke.self, "a", by: EngineHarness.bob)
        try await harness.until { try await harness.engine.client.run(run).state == "completed" }
        try await harness.stop()
        for suffix in ["", "-wal", "-shm"] { try? files.removeItem(atPath: harness.path + suffix) }
        try files.moveItem(atPath: backup, toPath: harness.path)
        return run
    }

    private func options(_ harness: EngineHarness) -> SQLiteOptions {
        var options = SQLiteOptions()
        options.clock = { [clock = harness.clock] in clock.now() }
        return options
    }

    private func recovering(_ harness: EngineHarness) async throws -> Client {
        try await Client(recovering: .sqlite(harness.path, options: options(harness)))
    }

    // Promise: 4
    @Test func whatMustHappenOnceIsAskedAboutAfterARestoredBackupIsRecovered() async throws {
        try await withEngines { harness in
            let run = try await goBack(harness)
            #expect(harness.effects.all.count == 2)
            let client = try await recovering(harness)
            #expect(try await client.restorableRuns() == 1)
            let done = try await client.recoverRestored(by: EngineHarness.ada)
            #expect(done.markedRuns == 1 && done.recoveredAt != nil)
            await client.close()
            try await harness.open { flow(harness) }
            try await harness.engine.client.signal(run, Poke.self, "a", by: EngineHarness.bob)
            try await harness.until(run, is: .parked)
            #expect(harness.effects.count("pay") == 1 && harness.effects.count("send") == 2)
            #expect(try await harness.attributes(.stepInDoubt, of: run)["reason"]?.stringValue == "lost")
            let result = Data(#""a""#.utf8)
            try await harness.engine.client.resolve(run, step: "pay", .happened(result: result), by: EngineHarness.bob)
            #expect(try await harness.result(run) == "a")
            #expect(harness.effects.count("pay") == 1)
        }
    }

    // Promise: 4
    @Test func aWordThatWasHeededInWhatIsLostIsNotBelievedWhenTheBackupIsRead() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            let paying = Flow { input, context in
                try await context.step("pay", input: input, .atMostOnce(inDoubt: .askPerson), irreversible: "x") { word, _ in
                    effects.add("pay")
                    if effects.count("pay") == 1 { throw Unclear() }
                    return word
                }
            }
            try await harness.open { paying }
            let run = try await harness.start().id
            try await harness.until { try await harness.engine.client.run(run).state == "parked" }
            try await harness.stop()
            harness.clock.advance(by: .hours(1))
            // It is in the backup, and nobody has read it.
            let person = try await Client(.sqlite(harness.path, options: options(harness)))
            try await person.resolve(run, step: "pay", .didNotHappen, by: EngineHarness.bob)
            await person.close()
            let backup = harness.path + ".backup", files = FileManager.default
            let parts = ["", "-wal"].filter { files.fileExists(atPath: harness.path + $0) }
            for suffix in parts { try files.copyItem(atPath: harness.path + suffix, toPath: backup + suffix) }
            try await harness.open { paying }
            try await harness.until { try await harness.engine.client.run(run).state == "completed" }
            #expect(effects.count("pay") == 2)
            try await harness.stop()
            for suffix in ["", "-wal", "-shm"] { try? files.removeItem(atPath: harness.path + suffix) }
            for suffix in parts { try files.moveItem(atPath: backup + suffix, toPath: harness.path + suffix) }
            let client = try await recovering(harness)
            _ = try await client.recoverRestored(by: EngineHarness.ada)
            await client.close()
            harness.clock.advance(by: .hours(1))
            try await harness.open { paying }
            try await harness.until(run, has: "operator.action pay")
            #expect(try await harness.attributes(.operatorAction, of: run)["refused"] == "run_restored")
            #expect(effects.count("pay") == 2)
            // Whoever looks now knows of the loss.
            try await harness.engine.client.resolve(run, step: "pay", .didNotHappen, by: EngineHarness.bob)
            try await harness.until { try await harness.engine.client.run(run).state == "completed" }
            #expect(effects.count("pay") == 3)
            // A copy of the history has no mark, and nothing in it names one.
            let end = try #require(try await harness.history(run).last { $0.kind == .stepSucceeded }).seq
            let fork = try await harness.engine.client.fork(run, at: end, by: EngineHarness.bob)
            try await harness.until { try await harness.engine.client.run(fork).state == "completed" }
            #expect(effects.count("pay") == 3)
            #expect(try await harness.problems(fork) == [])
        }
    }

    @Test func theRunsThatAMarkedOneIsContinuedAsBeginAboveTheirLostOnesAlsoWhenItIsSettled() async throws {
        try await withEngines { harness in
            let continued = Flow { input, context in
                if try await context.signal(Poke.self) == "last" { return input }
                try await context.continueAsNew(Flow.self, input: "next")
            }
            try await harness.open { continued }
            let run = try await harness.start().id
            try await harness.until { try await harness.engine.client.run(run).state == "waiting" }
            _ = try await harness.engine.client.store.beginRestoration(by: "ada", reason: "she says so")
            _ = try await harness.engine.client.recoverRestored(by: EngineHarness.ada)
            harness.clock.advance(by: .seconds(1))
            try await harness.engine.client.settleLoss(of: run, by: EngineHarness.ada)
            for word in ["a", "b", "last"] { try await harness.engine.client.signal(run, Poke.self, word, by: EngineHarness.bob) }
            try await harness.advanceUntil(by: .seconds(1)) {
                let client = try harness.engine.client
                return try await client.run(client.latest(of: run)).state == "completed"
            }
            var next = try await harness.record(run), epochs: [Int64] = []
            while let successor = next.successor {
                next = try await harness.record(successor)
                #expect(try await !harness.history(successor).contains { $0.kind == .runRestored })
                epochs.append(next.epoch)
            }
            #expect(epochs.count == 2 && epochs.allSatisfy { $0 > Restoration.epochRise } && epochs == epochs.sorted())
        }
    }

    @Test func untilEveryRunIsMarkedNothingIsBegun() async throws {
        try await withEngines { harness in
            let run = try await goBack(harness)
            // The command is broken off before the first run is marked.
            let store = try await SQLiteStore.open(harness.path, role: .engine, options: options(harness))
            let begun = try await store.beginRestoration(by: "ada", reason: "she says so")
            await store.close()
            try await harness.open { flow(harness) }
            try await harness.engine.client.signal(run, Poke.self, "a", by: EngineHarness.bob)
            let fresh = try await harness.start("another")
            try await harness.until {
                harness.logs.lines.contains("the store's history went back; nothing is begun until it is recovered")
            }
            #expect(try await harness.record(run).state == .waiting)
            #expect(try await harness.record(fresh.id).state == .ready)
            #expect(try await harness.engine.client.restoration()?.number == begun.number)
            // Here the engine that holds does it itself.
            _ = try await harness.engine.client.recoverRestored(by: EngineHarness.ada)
            harness.clock.advance(by: .seconds(1))
            try await harness.until(run, is: .parked)
            #expect(harness.effects.count("pay") == 1)
            try await harness.engine.client.terminate(run, reason: nil, by: EngineHarness.bob)
            try await harness.engine.client.terminate(fresh.id, reason: nil, by: EngineHarness.bob)
            for run in [run, fresh.id] { try await harness.until(run, is: .terminated) }
        }
    }

    @Test func nobodyRecoversUnderALivingEngine() async throws {
        try await withEngines { harness in
            try await harness.open { flow(harness) }
            await #expect(throws: PerdureError.self) { _ = try await recovering(harness) }
            let client = try await Client(.sqlite(harness.path))
            await #expect(throws: PerdureError.self) { _ = try await client.recoverRestored(by: EngineHarness.ada) }
            await client.close()
        }
    }

    @Test func aStartThatIsRepeatedAcrossARecoverySaysThatItMayHaveBegun() async throws {
        try await withEngines { harness in
            try await harness.open { flow(harness) }
            // As a store answers when the same start comes once more after a recovery.
            let now = harness.clock.now()
            harness.script.set { call in
                guard case .commit(_, let items) = call,
                    items.contains(where: { item in
                        guard case .create(let run) = item else { return false }
                        return !run.events.contains { $0.kind == .runRestored }
                    })
                else { return .apply }
                return .refuse(.mayHaveBegun(LostPart(since: now, until: now, by: EngineHarness.ada)))
            }
            let run = try await harness.start().id
            #expect(try await harness.history(run).prefix(2).map(\.kind) == [.runStarted, .runRestored])
            try await harness.engine.client.signal(run, Poke.self, "a", by: EngineHarness.bob)
            try await harness.until(run, is: .parked)
            #expect(harness.effects.count("pay") == 0)
            #expect(try await harness.attributes(.stepInDoubt, of: run)["reason"]?.stringValue == "lost")
        }
    }

    @Test func aScheduleStartsNothingUntilTheHistoryIsRecoveredAndThenSaysThatItMayHaveBegun() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            let paying = Flow { input, context in
                try await context.step("pay", input: input, .atMostOnce(inDoubt: .askPerson), irreversible: "x") { word, _ in
                    effects.add("pay")
                    return word
                }
            }
            try await harness.open { paying }
            try await harness.engine.schedule("s", Schedule(.every(.minutes(1)), Flow.self, input: "a"), by: EngineHarness.ada)
            _ = try await harness.engine.client.store.beginRestoration(by: "ada", reason: "she says so")
            harness.clock.advance(by: .minutes(1))
            try await harness.advanceUntil(by: .seconds(1)) {
                harness.logs.lines.contains("the store's history went back; nothing is begun until it is recovered")
            }
            #expect(try await harness.observer().runs(workflow: "flow").isEmpty)
            _ = try await harness.engine.client.recoverRestored(by: EngineHarness.ada)
            try await harness.advanceUntil(by: .seconds(1)) { try await !harness.observer().runs(workflow: "flow").isEmpty }
            let run = try #require(try await harness.observer().runs(workflow: "flow").last).id
            let events = try await harness.history(run)
            #expect(events.prefix(2).map(\.kind) == [.runStarted, .runRestored])
            let due = try events[0].attributes.object()["schedule"]?["due"]
            let since = try events[1].attributes.object()["lost_since"]
            #expect(due != nil && since == due)
            try await harness.until(run, is: .parked)
            #expect(effects.count("pay") == 0)
        }
    }
}
