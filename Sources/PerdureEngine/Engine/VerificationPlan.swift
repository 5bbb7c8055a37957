import Perdure
package import PerdureHistory
package import PerdureStore

/// Which histories are verified when, where a round over all of them takes a fixed time: the clock says it, so that a process that starts
/// goes on where another has ended, and several agree without a word.
///
/// Runs are taken in blocks of neighbouring numbers, which stay the same however many runs there are. A round has parts of some minutes,
/// each with every so-manieth block. Rounds begin with different parts, so that whoever is away every night does not miss the same
/// ones each time.
package struct VerificationPlan: Sendable, Hashable {
    /// One part of one round.
    package struct Place: Sendable, Hashable {
        package let round: Int64
        /// From 0.
        package let part: Int64
        package let parts: Int64
        /// Which blocks belong to it: those whose number leaves this rest when it is divided by the number of parts.
        package let rest: Int64
    }

    package static let blockSize: Int64 = 128
    private static let partLength = Duration.seconds(900)

    let parts: Int64
    private let length: Int64

    /// - Parameter round: Of at least one second.
    package init(round: Duration) {
        parts = min(max(round.microseconds / Self.partLength.microseconds, 1), 1_000)
        length = max(round.microseconds / parts, 1)
    }

    /// The part that is on at that time, counted from the beginning of all time.
    package func index(at time: Timestamp) -> Int64 { max(time.microseconds, 0) / length }

    package func start(of index: Int64) -> Timestamp { Timestamp(microseconds: index * length) }

    package func place(_ index: Int64) -> Place {
        let round = index / parts, part = index % parts
        // About the golden section of a round, so that beginnings fall far from each other.
        let rest = (part + round % parts * (parts * 5 / 8 + 1)) % parts
        return Place(round: round, part: part, parts: parts, rest: rest)
    }
}

extension VerificationPlan.Place {
    /// The last block of the part that is not behind this one.
    package func block(upTo last: Int64) -> Int64? {
        let block = last - (last - rest + parts) % parts
        return last >= rest && block >= 0 ? block : nil
    }

    /// Whether a keeper looks at the block, if there are so many.
    package func isMine(_ block: Int64, _ share: KeeperShare) -> Bool { block / parts % Int64(share.count) == share.number }
}

/// Which of several keepers one is.
package struct KeeperShare: Sendable, Hashable {
    /// From 0.
    package let number: Int64
    package let count: Int

    package init(number: Int64, count: Int) {
        self.number = number
        self.count = max(1, count)
    }

    package static let all = KeeperShare(number: 0, count: 1)

    /// Of nodes that verify other namespaces, or in other rounds, none does the work of this one.
    package init(of node: NodeID, verifying verifies: String, among nodes: [NodeRegistration]) {
        let keepers = nodes.filter { $0.verifies == verifies }.map(\.id.rawValue).sorted()
        // One that is overdue does not count the others out.
        guard let place = keepers.firstIndex(of: node.rawValue) else {
            self = .all
            return
        }
        self.init(number: Int64(place), count: keepers.count)
    }
}
