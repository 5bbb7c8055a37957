import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import PerdureTesting
import Testing

// What could stop a schedule, and must not.
extension ScheduleTests {
    @Test(arguments: [true, false])
    func `a backfill over hundreds of due times that have their runs comes to its end`(_ isOverlapping: Bool) async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let start = try await Self.start(simulation)
            let engine = try await world.open(simulation.process("one")) { Self.workflows(world.log) }, client = engine.client
            try await engine.schedule("s", try Self.every(.hours(1)), by: World.ada)
            for (hours, overlapping) in [(299, true), (309, isOverlapping)] {
                let from = (start - .hours(hours)).date
                try await client.backfillSchedule("s", from: from, to: start.date, overlapping: overlapping, by: World.ada)
                try await simulation.sleep(for: .minutes(20))
                let info = try await client.schedule("s")
                #expect(info.started == Int64(hours) + 1 && !info.isBackfilling)
            }
            try await Self.isSound(client)
        }
        #expect(Set(world.log.all).count == 310)
    }

    @Test func `a run that is quarantined does not hold its schedule up`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let start = try await Self.start(simulation)
            let engine = try await world.open(simulation.process("one")) { Self.workflows(world.log, taking: .days(1)) }
            let client = engine.client
            try await engine.schedule("s", try Self.every(.hours(1)), by: World.ada)
            try await simulation.sleep(for: .minutes(130))
            let run = try #require(try await client.runs().first)
            #expect(try await Self.dues(client, since: start) == [3_600])
            try await client.store.quarantine(try await client.record(run.id).number, reason: "broken")
            try await simulation.sleep(for: .minutes(60))
            #expect(try await Self.dues(client, since: start) == [3_600, 10_800])
        }
    }

    private struct Elsewhere: Workflow {
        static let name = "elsewhere"
        static let version: WorkflowVersion = "9"
        func run(_ input: String, _ context: WorkflowContext) async throws -> String { input }
    }

    @Test func `another workflow is not started in a version of the one before`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            _ = try await Self.start(simulation)
            let engine = try await world.open(simulation.process("one")) { Self.workflows(world.log) }, client = engine.client
            try await engine.schedule("s", try Self.every(.hours(1)), by: World.ada)
            try await simulation.sleep(for: .minutes(70))
            try await client.changeSchedule("s", to: try Schedule(.every(.hours(1)), Elsewhere.self, input: "a"), by: World.ada)
            try await simulation.sleep(for: .hours(2))
            #expect(try await client.runs().count == 1)
            #expect(try await client.schedule("s").trouble?.contains("'elsewhere'") == true)
        }
    }
}
