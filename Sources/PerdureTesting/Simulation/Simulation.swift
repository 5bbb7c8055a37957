import PerdureEngine
package import PerdureHistory
import Synchronization

/// Engines, and the code that uses them, on one thread and in a time of their own.
///
/// Everything that would be done by several threads is put into one queue: draining runs, bodies of steps, commits, what is due, and every
/// job of every task. One thread takes from it, one thing at a time. With a seed it takes them in an order that depends on nothing but
/// the seed, without one in the order in which they came. Only when nothing is left to do does time pass: it jumps to what is due next.
///
/// ```swift
/// let simulation = Simulation(seed: 7)
/// try await simulation.run {
///     let process = simulation.process("node-1")
///     let engine = try await Engine(store: process.store(store), configuration: process.configured(), logger: logger) { Invoice() }
///     process.start(engine)
///     let run = try await engine.start(Invoice.self, input: order, by: clerk)
///     try await run.result()              // three weeks later, a moment from now
/// }
/// ```
///
/// Time passes only while somebody is in ``run(_:)``. Code in there has to wait for nothing outside; see ``OutsideWork``.
package final class Simulation: Sendable {
    package let seed: UInt64?
    /// The process that the test's own code belongs to. It never dies.
    package let tests: SimulatedProcess
    let loop: TurnLoop

    /// - Parameters:
    ///   - turnLength: How long a turn takes at most: so much time passes also while there is something to do. Only with a seed, which says
    ///     how long each of them takes.
    ///   - limit: How much time may pass in all.
    ///   - turnLimit: How many things may be done at one time, and a twentieth of how many may be done in all.
    package init(
        seed: UInt64? = nil, start: Timestamp = Timestamp(microseconds: 1_767_225_600_000_000), turnLength: Duration = .zero,
        outside: OutsideWork = .refused, limit: Duration = .seconds(1_000 * 365 * 86_400), turnLimit: Int = .max
    ) {
        self.seed = seed
        loop = TurnLoop(
            seed: seed, start: start, turnLength: turnLength, outside: outside, limit: limit, turnLimit: turnLimit)
        tests = SimulatedProcess("tests", number: loop.addProcess("tests"), loop: loop)
    }

    /// A process that can host one engine, die and be stopped for a while.
    ///
    /// - Parameters:
    ///   - name: Says to people which one it is.
    ///   - skew: How far its clock is ahead.
    ///   - misjudgement: How far the time that it takes for its store's is ahead of that.
    ///   - gate: Sees the calls of its store, and may change what becomes of them.
    package func process(
        _ name: String, skew: Duration = .zero, misjudgement: Duration = .zero, gate: (any StoreGate)? = nil
    ) -> SimulatedProcess {
        SimulatedProcess(name, number: loop.addProcess(name), loop: loop, skew: skew, misjudgement: misjudgement, gate: gate)
    }

    /// Starts something that belongs to no engine, for code in ``run(_:)``.
    func spawn(_ body: @escaping @concurrent @Sendable () async -> Void) {
        Task(executorPreference: tests.tasks) { await body() }
    }

    /// Runs the body on the thread of the simulation, and with it everything that has something to do, until the body has returned. What is
    /// left then stays where it is until the next call.
    ///
    /// May be called from several tasks at once; then the order of the bodies is not the seed's.
    ///
    /// - Throws: What the body throws, or `SimulationFailure`; then the simulation is over.
    package func run<Value: Sendable>(
        _ body: @escaping @concurrent @Sendable () async throws -> Value
    ) async throws -> Value {
        if loop.isOnThread { return try await body() }
        return try await loop.main(body)
    }

    /// What time it is.
    package var now: Timestamp { loop.now }

    /// Lets time pass, for code in ``run(_:)``.
    package func sleep(for duration: Duration) async throws { try await tests.sleep(for: duration) }

    /// How many things were done up to here, and a digest of which they were: two simulations that agree in it have done the same.
    package var trace: Trace { loop.trace }

    /// Calls the handler with every thing that is going to be done.
    package func onTurn(_ handler: (@Sendable (Turn) -> Void)?) { loop.onTurn(handler) }

    /// Work that came from other threads, with where it came from. Always empty unless it is allowed.
    package var outsideWork: [String] { loop.outsideWork }
}

/// What becomes of code that waits for something outside of the simulation: a request over the network, an actor that is busy
/// elsewhere, a sleep of Swift's.
package enum OutsideWork: Sendable, Hashable {
    /// It fails the simulation, as soon as something comes back from another thread, or when nothing is left to do and due.
    case refused
    /// Bodies of steps may. While one does, time stands still until it goes on, for so much real time at most; after that it passes as if
    /// the body did not exist. What such a simulation does is not the seed's alone.
    case awaited(patience: Duration)
}

/// One thing that was done.
package struct Turn: Sendable, Hashable, CustomStringConvertible {
    package enum Kind: UInt8, Sendable {
        /// A task of the engine, or of the test.
        case task
        /// A task of a body of a step.
        case body
        /// A run, or whatever else was handed to the engine's threads.
        case work
        /// Something was due.
        case time
    }

    /// Counted from 1 in the order in which they were asked for.
    package let number: UInt64
    package let process: String
    package let kind: Kind
    package let at: Timestamp

    package var description: String { "\(number) \(process) \(kind) \(at)" }
}

package struct Trace: Sendable, Hashable, CustomStringConvertible {
    package internal(set) var turns = 0
    package internal(set) var digest: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func add(_ number: UInt64, _ process: Int, _ kind: Turn.Kind, _ at: Timestamp) {
        turns += 1
        for word in [number, UInt64(process), UInt64(kind.rawValue), UInt64(bitPattern: at.microseconds)] {
            digest = (digest ^ word) &* 0x0000_0100_0000_01B3
            digest ^= digest >> 29
        }
    }

    package var description: String { "\(turns) turns, \(String(digest, radix: 16))" }
}

/// Why a simulation could not go on.
package struct SimulationFailure: Error, Sendable, CustomStringConvertible {
    package enum Reason: Sendable, Hashable {
        /// Something came from another thread.
        case outsideWork
        /// Nothing is left to do and nothing is due, and yet somebody waits.
        case standstill
        /// More time has passed than the simulation was given.
        case timeIsUp
        /// More was done than the simulation was given.
        case endless
    }

    package let reason: Reason
    package let message: String
    package var description: String { message }
}
