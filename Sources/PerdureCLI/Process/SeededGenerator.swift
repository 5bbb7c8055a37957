import Perdure

/// The same numbers for the same seed, on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var numbers: DerivedGenerator

    init(seed: UInt64) { numbers = DerivedGenerator(state: seed) }

    mutating func next() -> UInt64 { numbers.next() }
}
