import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdureEngine

/// Random work, random deaths, several processes. `PERDURE_SEED` repeats one.
@Suite(.timeLimit(.minutes(5))) struct FollowingChanceTests {
    @Test(arguments: FollowingBench.Kind.allCases)
    func `whatever happens, everything is told in its order`(_ kind: FollowingBench.Kind) async throws {
        let given = ProcessInfo.processInfo.environment["PERDURE_SEED"].flatMap(UInt64.init)
        let base = given ?? UInt64.random(in: 0..<1 << 40), cases: UInt64 = given == nil ? 40 : 1
        print("followers from seed \(base)")
        for seed in base..<base + cases {
            try await FollowingBench.with(kind) { bench in try await Self.play(seed, bench) }
        }
    }

    private static func play(_ seed: UInt64, _ bench: FollowingBench) async throws {
        var dice = SampleDice(seed: seed)
        let ears = Ears(), elapsed = ElapsedTime()
        var open: [RunID] = []
        let first = try bench.process(ears, elapsed: elapsed)
        for _ in 0..<2 { try await first.sweep() }
        var processes = [first]
        for _ in 0..<60 {
            switch dice.roll(9) {
            case 0, 1: open.append(try await bench.begin())
            case 2, 3: if let run = dice.pick(open) { try await bench.grow(run, by: 1 + dice.roll(4)) }
            case 4:
                if let run = dice.pick(open) {
                    try await bench.end(run)
                    open.removeAll { $0 == run }
                }
            case 5:
                bench.clock.advance(by: .seconds(Int64(dice.roll(40))))
                elapsed.advance(by: .seconds(Int64(dice.roll(20))))
            case 6:
                let mortal = MortalStore(bench.store, dies: 1 + dice.roll(25), isDone: dice.roll(2) == 0)
                processes.append(try bench.process(ears, over: mortal.store, elapsed: elapsed))
            default: if let process = dice.pick(processes) { _ = try? await process.sweep() }
            }
        }
        bench.clock.advance(by: .minutes(1))
        elapsed.advance(by: .minutes(2))
        let last = try bench.process(ears, elapsed: elapsed)
        for _ in 0..<4 { try await last.sweep() }
        #expect(ears.heard == bench.all, "PERDURE_SEED=\(seed)")
        #expect(ears.flaws.isEmpty, "PERDURE_SEED=\(seed)")
    }
}

/// Chance that is the same for the same seed.
struct SampleDice {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func roll(_ sides: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((value ^ (value >> 31)) % UInt64(max(1, sides)))
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[roll(elements.count)]
    }
}
