import Perdure

/// What can go wrong with one call.
package enum StoreFault: Sendable {
    /// It is not done, and says so.
    case refuse
    /// It is done, and says that it does not know.
    case loseAnswer
}

extension FaultyStore {
    /// Which calls fail, and how. The same plan on the same calls fails the same way.
    package struct Plan: Sendable, CustomStringConvertible {
        package let description: String
        private var generator: DerivedGenerator
        private let at: (Int, StoreFault)?
        private let refuse: Double
        private let loseAnswer: Double
        private let duplicate: Double
        private let delay: Double
        private var calls = 0

        package static let none = Plan("no faults")

        /// Only the n-th call fails, counted from 1 over all kinds of calls that change something.
        package static func nth(_ call: Int, _ fault: StoreFault) -> Plan {
            Plan("\(fault) at call \(call)", at: (call, fault))
        }

        /// Each call fails with these probabilities; deliveries are also sent twice and held back.
        package static func random(
            seed: UInt64, refuse: Double, loseAnswer: Double, duplicate: Double = 0, delay: Double = 0
        ) -> Plan {
            Plan("seed \(seed)", seed: seed, refuse: refuse, loseAnswer: loseAnswer, duplicate: duplicate, delay: delay)
        }

        private init(
            _ description: String, seed: UInt64 = 0, at: (Int, StoreFault)? = nil, refuse: Double = 0, loseAnswer: Double = 0,
            duplicate: Double = 0, delay: Double = 0
        ) {
            self.description = description
            generator = DerivedGenerator(state: seed)
            self.at = at
            self.refuse = refuse
            self.loseAnswer = loseAnswer
            self.duplicate = duplicate
            self.delay = delay
        }

        mutating func nextFault() -> StoreFault? {
            calls += 1
            if let (call, fault) = at { return call == calls ? fault : nil }
            let chance = Double.random(in: 0..<1, using: &generator)
            if chance < refuse { return .refuse }
            return chance < refuse + loseAnswer ? .loseAnswer : nil
        }

        mutating func duplicates() -> Bool { Double.random(in: 0..<1, using: &generator) < duplicate }

        /// How many times the call lets others go first.
        mutating func turnsLost() -> Int {
            Double.random(in: 0..<1, using: &generator) < delay ? Int.random(in: 1...20, using: &generator) : 0
        }
    }
}
