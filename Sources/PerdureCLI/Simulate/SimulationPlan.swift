import Foundation
import PerdureHistory

/// What can go wrong in a simulation, at a commit, around a body, or at any other call of the store.
enum FaultKind: String, Codable, CaseIterable, Sendable {
    /// The store says no; nothing was changed.
    case refused
    /// It was done, and nobody says so.
    case unanswered
    /// It was not done, and nobody knows.
    case unheard
    /// The process dies when half of what shares the commit is durable.
    case torn
    case slow
    case slowAnswer = "slow_answer"
    case crashBefore = "crash_before"
    case crashAfter = "crash_after"
    /// The process stands still, mostly for longer than its lease, and goes on as if nothing had happened.
    case freezeBefore = "freeze_before"
    case freezeAfter = "freeze_after"
    /// The process's clock jumps.
    case clockJump = "clock_jump"

    static let ofCommits = allCases
    static let ofBodies: [FaultKind] = [.crashBefore, .crashAfter, .freezeBefore, .freezeAfter, .clockJump]
    /// Whether the store makes it, rather than the process: it can meet those who are no engine too.
    var isStores: Bool { [.refused, .unanswered, .unheard, .slow, .slowAnswer].contains(self) }
}

/// One thing that goes wrong, at the first place from there on where it can.
struct Fault: Codable, Sendable {
    enum Place: Codable, Sendable, Hashable {
        /// The n-th commit of all processes together.
        case commit(Int)
        /// The n-th time that an event of this kind is about to be committed, or another thing by its name.
        case event(String, Int)
        /// The n-th attempt, undo or probe.
        case body(Int)
        /// The n-th call of the store, whichever it is.
        case call(Int)
    }

    var place: Place
    var kind: FaultKind
    /// How long, or how far.
    var milliseconds: Int
}

extension Fault: CustomStringConvertible {
    var description: String {
        let site =
            switch place {
            case .commit(let number): "commit \(number)"
            case .event(let kind, let number): "\(kind), \(number)"
            case .body(let number): "body \(number)"
            case .call(let number): "call \(number) of the store"
            }
        return "\(kind.rawValue) (\(milliseconds) ms) at \(site)"
    }
}

/// Everything that a seed decides, before anything happens: it can be made smaller without changing the rest.
struct SimulationPlan: Codable, Sendable {
    struct Order: Codable, Sendable {
        /// Names it: its key is the same however much is left out.
        var number: Int
        var shape: Shape
        var startsAfter = 0
        /// When each signal is sent, in milliseconds after the run has begun.
        var signals: [Int] = []
        /// Each is sent as often.
        var deliveries = 1
        var cancelledAfter: Int?
        var terminatedAfter: Int?
        /// Its place in the queue, if it waits in it.
        var place: Place?

        struct Place: Codable, Sendable {
            var key: String
            var priority: Int
        }
    }

    /// The limits of the queue.
    struct Queue: Codable, Sendable {
        var concurrency: Int
        var perKey: Int?
        /// In milliseconds, from one admission to the next.
        var interval: Int?
    }

    /// What is allowed for the other side, as one resource. Times are in milliseconds.
    struct Resource: Codable, Sendable {
        var concurrency: Int?
        var failures: Int
        var pause: Int
        var spread: Int
        /// Of a hundred calls for circuits so many do not reach the store.
        var unheard: Int
    }

    struct Node: Codable, Sendable {
        /// How far its clock is ahead, in milliseconds.
        var skew: Int
        var cachedRuns: Int
        var activeRuns: Int
        var historyPage: Int
        /// How long it takes to come back.
        var restart: Int
        /// When it is asked to end, in milliseconds after the beginning. It comes back then too.
        var stops: [Int]
    }

    var seed: UInt64
    var nodes: [Node]
    /// In milliseconds; nil for a store that one engine has to itself.
    var lease: Int?
    var orders: [Order]
    var queue: Queue?
    var resource: Resource?
    var faults: [Fault]
    /// Of a hundred requests to the other side so many go wrong in one way or another.
    var misfortune: Int
    /// Of a hundred answers of the other side so many are lies.
    var lies: Int
    var without: SwarmDefence?
}

extension SimulationPlan {
    /// Clocks differ by less than what steps wait before they believe that nothing will happen any more.
    static let grace = 5_000

    /// - Parameter skew: How far clocks may be ahead of the store's time, in milliseconds, and where they may jump to.
    init(seed: UInt64, skew: ClosedRange<Int>, without: SwarmDefence? = nil) {
        var random = SeededGenerator(seed: seed &* 0x9E37_79B9_7F4A_7C15 ^ 0x51)
        func pick<Value>(_ values: [Value]) -> Value { values[Int.random(in: 0..<values.count, using: &random)] }
        self.seed = seed
        self.without = without
        let count = Int.random(in: 1...3, using: &random)
        lease = count == 1 && Bool.random(using: &random) ? nil : Int.random(in: 800...4_000, using: &random)
        let isSkewed = Int.random(in: 0..<3, using: &random) == 0
        nodes = (0..<count).map { _ in
            Node(
                skew: isSkewed ? Int.random(in: skew, using: &random) : 0,
                cachedRuns: pick([0, 2, 1_000]), activeRuns: pick([1, 3, 1_000]), historyPage: pick([5, 1_000]),
                restart: Int.random(in: 0...3_000, using: &random),
                stops: Int.random(in: 0..<4, using: &random) == 0 ? [Int.random(in: 100...3_000, using: &random)] : [])
        }
        misfortune = pick([0, 10, 25])
        lies = Int.random(in: 0..<10, using: &random) == 0 ? pick([5, 30]) : 0
        orders = []
        for number in 0..<Int.random(in: 1...4, using: &random) { orders.append(Self.order(number, seed, &random)) }
        faults = []
        addQueue()
        addResource()
        for _ in 0..<Int.random(in: 0...10, using: &random) {
            faults.append(Self.fault(at: Self.place(&random), lease: lease ?? 1_000, skew, &random))
        }
        guard Int.random(in: 0..<4, using: &random) > 0 else { return }
        for row in FaultTable.rare {
            faults.append(Self.fault(at: .event(row, 1), lease: lease ?? 1_000, skew, &random))
        }
    }

    /// With chance of its own: what else happens under a seed does not depend on it.
    private mutating func addQueue() {
        // A seed that is to go wrong goes wrong in its own way.
        guard without == nil else { return }
        var random = SeededGenerator(seed: seed &* 0x9E37_79B9_7F4A_7C15 ^ 0x9_0B1E)
        guard Int.random(in: 0..<3, using: &random) == 0 else { return }
        let concurrency = Int.random(in: 1...2, using: &random)
        queue = Queue(
            concurrency: concurrency, perKey: Bool.random(using: &random) ? 1 : nil,
            interval: Int.random(in: 0..<4, using: &random) == 0 ? Int.random(in: 50...800, using: &random) : nil)
        for index in orders.indices where Int.random(in: 0..<5, using: &random) > 0 {
            orders[index].place = .init(
                key: ["a", "b"][Int.random(in: 0..<2, using: &random)], priority: Int.random(in: 0...9, using: &random))
        }
    }

    /// With chance of its own, as a queue.
    private mutating func addResource() {
        guard without == nil else { return }
        var random = SeededGenerator(seed: seed &* 0x9E37_79B9_7F4A_7C15 ^ 0xC12C)
        guard Int.random(in: 0..<3, using: &random) == 0 else { return }
        resource = Resource(
            concurrency: Bool.random(using: &random) ? Int.random(in: 1...3, using: &random) : nil,
            failures: Int.random(in: 1...3, using: &random), pause: Int.random(in: 20...600, using: &random),
            spread: Int.random(in: 0...300, using: &random), unheard: [0, 0, 10, 60][Int.random(in: 0..<4, using: &random)])
    }

    private static func order(_ number: Int, _ seed: UInt64, _ random: inout SeededGenerator) -> Order {
        var order = Order(number: number, shape: ShapeMaker.shape(of: number, seed: seed, hasPeople: true))
        order.startsAfter = Int.random(in: 0...600, using: &random)
        order.signals = (0..<order.shape.signals).map { _ in Int.random(in: 0...2_000, using: &random) }
        order.deliveries = Int.random(in: 0..<4, using: &random) == 0 ? 2 : 1
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<25: order.cancelledAfter = Int.random(in: 0...3_000, using: &random)
        case 25..<31: order.terminatedAfter = Int.random(in: 0...3_000, using: &random)
        default: break
        }
        return order
    }

    private static func place(_ random: inout SeededGenerator) -> Fault.Place {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<50:
            let row = FaultTable.aims[Int.random(in: 0..<FaultTable.aims.count, using: &random)]
            return .event(row, Int.random(in: 0..<3, using: &random) > 0 ? 1 : Int.random(in: 2...4, using: &random))
        case 50..<70: return .commit(Int.random(in: 1...60, using: &random))
        case 70..<90: return .body(Int.random(in: 1...25, using: &random))
        default: return .call(Int.random(in: 1...300, using: &random))
        }
    }

    private static func fault(
        at place: Fault.Place, lease: Int, _ skew: ClosedRange<Int>, _ random: inout SeededGenerator
    ) -> Fault {
        var kinds: [FaultKind] =
            switch place {
            case .event, .commit: FaultKind.ofCommits
            case .body: FaultKind.ofBodies
            case .call: [.crashBefore, .freezeAfter, .clockJump]
            }
        if skew == 0...0 { kinds.removeAll { $0 == .clockJump } }
        let kind = kinds[Int.random(in: 0..<kinds.count, using: &random)]
        let length =
            switch kind {
            case .clockJump: Int.random(in: skew, using: &random)
            case .slow, .slowAnswer: Int.random(in: 1...lease, using: &random)
            default: Int.random(in: 1...lease * 3, using: &random)
            }
        return Fault(place: place, kind: kind, milliseconds: length)
    }

    var story: [String] {
        var lines = [
            "seed \(seed): \(nodes.count) nodes, \(lease.map { "leases of \($0) ms" } ?? "one engine at a time"), "
                + "misfortune \(misfortune), lies \(lies)"
        ]
        if let queue { lines.append("  queue: \(queue)") }
        if let resource { lines.append("  resource: \(resource)") }
        lines += nodes.enumerated().map { "  node \($0 + 1): \($1)" }
        lines += orders.map { "  run \($0.number): \($0)" }
        lines += faults.map { "  fault: \($0)" }
        return lines
    }
}
