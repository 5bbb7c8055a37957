import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureTesting
import Synchronization
import Testing

/// Work that would happen outside of a simulation.
@Suite(.timeLimit(.minutes(5))) struct LeakTests {
    /// - Parameters:
    ///   - action: Done when the body of the step waits.
    ///   - body: Of a step.
    private static func fail(
        _ simulation: Simulation, after action: @escaping @Sendable () -> Void = {},
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws -> SimulationFailure? {
        let world = World(simulation)
        do {
            _ = try await simulation.run {
                let engine = try await world.open(simulation.process("node")) {
                    Flow { input, context in
                        try await context.read("outside") {
                            try await body()
                            return "done"
                        }
                    }
                }
                let run = try await engine.start(Flow.self, input: "", by: World.ada)
                try await simulation.sleep(for: .seconds(1))
                action()
                return try await run.result()
            }
            return nil
        } catch let failure as SimulationFailure {
            return failure
        }
    }

    /// Lets a thread that is not the simulation's wake who waits.
    private final class Stranger: Sendable {
        private let waiting = Mutex<CheckedContinuation<Void, Never>?>(nil)

        func wait() async { await withCheckedContinuation { continuation in waiting.withLock { $0 = continuation } } }

        func wake() {
            let isDone = DispatchSemaphore(value: 0)
            let thread = Thread { [self] in
                waiting.withLock { $0.take() }?.resume()
                isDone.signal()
            }
            thread.start()
            isDone.wait()
        }
    }

    @Test func `a body that another thread wakes fails the simulation, and is named`() async throws {
        let stranger = Stranger()
        let failure = try #require(
            try await Self.fail(Simulation(), after: stranger.wake) { await stranger.wait() })
        #expect(failure.reason == .outsideWork)
        #expect(failure.message.contains("attempt 1 of 'outside' of run"))
        #expect(failure.message.contains("process 'node'"))
    }

    @Test func `a simulation in which nothing can happen any more does not wait for ever`() async throws {
        let failure = try #require(
            try await Self.fail(Simulation()) {
                await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
            })
        #expect(failure.reason == .standstill)
        #expect(failure.message.contains("attempt 1 of 'outside' of run"))
    }

    @Test func `housekeeping alone keeps no simulation going`() async throws {
        let simulation = Simulation(), world = World(simulation)
        let failure = await #expect(throws: SimulationFailure.self) {
            try await simulation.run {
                let engine = try await world.open(simulation.process("node")) { configuration in
                    configuration.verificationRate = 1_000
                    configuration.retention = .days(1)
                } workflows: {
                    Flow { _, context in try await context.signal(Poke.self) }
                }
                return try await engine.start(Flow.self, input: "", by: World.ada).result()
            }
        }
        #expect(failure?.reason == .standstill)
    }

    @Test func `a simulation ends when its time is up`() async throws {
        let failure = await #expect(throws: SimulationFailure.self) {
            let simulation = Simulation(limit: .days(2))
            try await simulation.run { try await simulation.sleep(for: .days(3)) }
        }
        #expect(failure?.reason == .timeIsUp)
    }

    @Test func `a simulation that waits for bodies gets what they really wait for`() async throws {
        let simulation = Simulation(outside: .awaited(patience: .seconds(60))), start = simulation.now
        let failure = try await Self.fail(simulation) {
            let stranger = Stranger()
            // Its turn comes when this one waits.
            async let waking: Void = stranger.wake()
            await stranger.wait()
            await waking
        }
        #expect(failure == nil)
        #expect(!simulation.outsideWork.isEmpty)
        // No time has passed meanwhile.
        #expect(simulation.now == start + .seconds(1))
    }

    @Test func `a failed simulation is over`() async throws {
        let simulation = Simulation(), stranger = Stranger()
        _ = try await Self.fail(simulation, after: stranger.wake) { await stranger.wait() }
        await #expect(throws: SimulationFailure.self) { try await simulation.run {} }
    }

    @Test func `what the body of a simulation throws comes out of it`() async throws {
        struct Reason: Error {}
        await #expect(throws: Reason.self) { try await Simulation().run { throw Reason() } }
    }

    @Test func `time passes only while somebody waits`() async throws {
        let simulation = Simulation(), start = simulation.now
        try await simulation.run { try await simulation.sleep(for: .days(1)) }
        #expect(simulation.now == start + .days(1))
        try await simulation.run { try await simulation.sleep(for: .days(1)) }
        #expect(simulation.now == start + .days(2))
    }
}
