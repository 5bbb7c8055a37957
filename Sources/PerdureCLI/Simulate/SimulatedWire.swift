import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureTesting
import Synchronization

/// The other side of a simulation, which no process takes with it when it dies.
final class SimulatedPeer: Sendable {
    let ledger: SwarmLedger
    private let simulation: Simulation
    private let misfortune: Int
    private let lies: Int
    private let random: Mutex<SeededGenerator>

    init(_ plan: SimulationPlan, _ simulation: Simulation) {
        ledger = SwarmLedger(seed: plan.seed)
        self.simulation = simulation
        misfortune = plan.misfortune
        lies = plan.lies
        random = Mutex(SeededGenerator(seed: ~plan.seed))
    }

    /// Deals with a request, after its way through the network.
    ///
    /// - Parameter answer: Called, on the time of the other side, with what is said, if anything is.
    func take(_ request: SwarmLedger.Request, _ answer: @escaping @Sendable (String) -> Void) {
        let (ways, fate, isTwice, lie) = random.withLock { random in
            let isUnlucky = Int.random(in: 0..<100, using: &random) < misfortune
            return (
                (0..<3).map { _ in Int.random(in: 0..<10, using: &random) < 3 ? Int.random(in: 1...400, using: &random) : 0 },
                isUnlucky ? Int.random(in: 0..<8, using: &random) : 99, Int.random(in: 0..<20, using: &random) == 0,
                lies > 0 && Int.random(in: 0..<100, using: &random) < lies
                    ? SwarmLedger.Lie.allCases.randomElement(using: &random) : nil
            )
        }
        // A lie about what all runs share would say nothing about any of them.
        let isShared = request.resource.hasPrefix(SwarmLedger.shared)
        arrive(request, fate, isShared ? nil : lie, after: ways[0], answersAfter: ways[1], answer)
        // The network may bring a request twice. One that is not recognised by its key is never sent so, nor one that is put off: whoever
        // says that something was not done means every copy of the request.
        guard isTwice, request.key != nil, !request.isPutOff else { return }
        arrive(request, 99, nil, after: ways[2], answersAfter: ways[1], answer)
    }

    private func arrive(
        _ request: SwarmLedger.Request, _ fate: Int, _ lie: SwarmLedger.Lie?, after way: Int, answersAfter wayBack: Int,
        _ answer: @escaping @Sendable (String) -> Void
    ) {
        let clock = simulation.tests.clock
        clock.after(.milliseconds(way)) { [self] in
            // One that is asked and does not know says so.
            if request.kind.isProbe, fate < 8 { return answer("unsure") }
            guard let words = ledger.perform(request, fate, lie, now: simulation.now.microseconds) else { return }
            clock.after(.milliseconds(wayBack)) { answer(words) }
        }
    }
}

/// The way from a process of a simulation to the other side and back, in the time of the simulation.
struct SimulatedWire: SwarmWire {
    let peer: SimulatedPeer
    let simulation: Simulation
    let process: SimulatedProcess

    /// How long somebody waits for an answer who has set no limit.
    private static let patience = Duration.seconds(2)

    func effect(on resource: String, key: String?, until deadline: Date) async throws -> String {
        try Self.done(await ask(.init(.effect, resource, key: key, deadline: there(deadline))))
        return resource
    }

    func undo(_ resource: String, key: String?, until deadline: Date) async throws {
        try Self.done(await ask(.init(.undo, resource, key: key, deadline: there(deadline))))
    }

    func hasHappened(_ resource: String) async throws -> Bool {
        try Self.yes(await ask(.init(.probe, resource, key: nil, deadline: .max)))
    }

    func isUndone(_ resource: String) async throws -> Bool {
        try Self.yes(await ask(.init(.undoProbe, resource, key: nil, deadline: .max)))
    }

    /// The deadline on the clock of the other side: requests say how much time is left.
    private func there(_ deadline: Date) -> Int64 {
        (simulation.now + Timestamp(deadline).duration(since: process.clock.now())).microseconds
    }

    private func ask(_ request: SwarmLedger.Request) async throws -> String {
        let reply = Reply()
        let answer = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                guard reply.begin(continuation) else { return }
                let clock = process.clock
                peer.take(request) { words in clock.after(.zero) { reply.give(words) } }
                clock.after(Self.patience) { reply.give("late") }
            }
        } onCancel: {
            reply.give(nil)
        }
        guard let answer else { throw CancellationError() }
        return answer
    }
}

/// One answer, of which the first counts.
private final class Reply: Sendable {
    private struct State {
        var waiter: UnsafeContinuation<String?, Never>?
        var isOver = false
    }

    private let state = Mutex(State())

    /// - Returns: False if nobody waits any more.
    func begin(_ waiter: UnsafeContinuation<String?, Never>) -> Bool {
        let isOver = state.withLock { state in
            if !state.isOver { state.waiter = waiter }
            return state.isOver
        }
        if isOver { waiter.resume(returning: nil) }
        return !isOver
    }

    func give(_ words: String?) {
        state.withLock { state in
            state.isOver = true
            return state.waiter.take()
        }?.resume(returning: words)
    }
}
