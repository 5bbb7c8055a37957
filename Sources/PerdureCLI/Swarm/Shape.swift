/// What one run does: a tree that the workflow plays. Every place has a number of its own within its run.
indirect enum Shape: Codable, Sendable {
    /// A step that the other side recognises by its key.
    case keyed(Int)
    /// A step that must not be repeated blindly; the other side knows no keys, and can be asked.
    case once(Int)
    case look(Int)
    /// A step that the other side refuses for good.
    case refused(Int)
    /// A step that the other side does not want to do at first, until nobody but a person tries it again; its undo is like that too.
    case stubborn(Int)
    /// A step that somebody has to approve.
    case approved(Int, milliseconds: Int)
    /// A step that is done once for all runs, whichever comes first.
    case shared(Int)
    case pause(Int, milliseconds: Int)
    /// Waits for a signal.
    case signal(Int)
    /// The code itself fails.
    case failure(Int)
    case sequence([Shape])
    case loop(Int, times: Int, Shape)
    /// All at once.
    case together(Int, [Shape])
    /// The first one counts; the others are given up and take back what they did.
    case race(Int, [Shape])
    /// What fails inside of it is taken back here and goes no further.
    case scope(Int, Shape)
    case timeout(Int, milliseconds: Int, Shape)
    /// A child that is left goes on when nobody waits for it any more; the others are cancelled then.
    case child(Int, Shape, isLeft: Bool)
    /// A child that nobody waits for.
    case detached(Int, Shape)
}

extension Shape {
    /// How many signals a run of this shape may wait for.
    var signals: Int {
        switch self {
        case .keyed, .once, .look, .refused, .stubborn, .approved, .shared, .pause, .failure, .child, .detached: 0
        case .signal: 1
        case .sequence(let parts), .together(_, let parts), .race(_, let parts): parts.map(\.signals).reduce(0, +)
        case .loop(_, let times, let part): times * part.signals
        case .scope(_, let part), .timeout(_, _, let part): part.signals
        }
    }

    /// What a run of this shape comes to if nobody cancels it: the places of its own that stay done, or that it fails. nil where that is
    /// for time to decide.
    enum Outcome: Equatable {
        case done([String])
        case fails
    }

    func outcome(at path: String = "") -> Outcome? {
        switch self {
        case .keyed(let number), .once(let number): .done(["\(number)\(path)"])
        case .look, .shared, .pause, .signal, .detached: .done([])
        case .refused, .failure: .fails
        case .sequence(let parts): Self.all(parts.map { $0.outcome(at: path) })
        case .loop(_, let times, let part): Self.all((0..<times).map { part.outcome(at: "\(path).\($0)") })
        case .together(_, let parts): Self.all(parts.map { $0.outcome(at: path) })
        case .race, .timeout, .stubborn, .approved: nil
        case .scope(_, let part): part.outcome(at: path).map { $0 == .fails ? .done([]) : $0 }
        // The places of a child are its own.
        case .child(_, let part, _): part.outcome().map { $0 == .fails ? .fails : .done([]) }
        }
    }

    private static func all(_ outcomes: [Outcome?]) -> Outcome? {
        var done: [String] = [], fails = false
        for outcome in outcomes {
            switch outcome {
            case nil: return nil
            case .fails?: fails = true
            case .done(let places)?: done += places
            }
        }
        return fails ? .fails : .done(done)
    }
}

/// Makes shapes, the same ones for the same seed.
struct ShapeMaker {
    private var random: SeededGenerator
    private var last = 0
    private var isChild = false
    private let hasPeople: Bool

    private init(random: SeededGenerator, hasPeople: Bool) {
        self.random = random
        self.hasPeople = hasPeople
    }

    /// The shape of the run with this number.
    ///
    /// - Parameter hasPeople: Whether there is somebody who approves, and who moves what is stuck.
    static func shape(of run: Int, seed: UInt64, hasPeople: Bool = false) -> Shape {
        let random = SeededGenerator(seed: seed &* 0x2545_F491_4F6C_DD1D &+ UInt64(run))
        var maker = ShapeMaker(random: random, hasPeople: hasPeople)
        let count = Int.random(in: 1...4, using: &maker.random)
        return .sequence((0..<count).map { _ in maker.shape(depth: 0) })
    }

    private mutating func number() -> Int {
        last += 1
        return last
    }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    private mutating func shape(depth: Int) -> Shape {
        if depth >= 3 || chance(35) { return leaf() }
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<20: return .sequence(parts(depth, 2...3))
        case 20..<35: return .loop(number(), times: Int.random(in: 2...4, using: &random), shape(depth: depth + 1))
        case 35..<50: return .together(number(), parts(depth, 2...4))
        case 50..<65: return .race(number(), parts(depth, 2...3))
        case 65..<80:
            let inner = parts(depth, 1...3)
            return .scope(number(), .sequence(chance(50) ? inner + [.failure(number())] : inner))
        case 80..<88:
            return .timeout(number(), milliseconds: Int.random(in: 5...400, using: &random), shape(depth: depth + 1))
        default: return child(depth)
        }
    }

    private mutating func parts(_ depth: Int, _ range: ClosedRange<Int>) -> [Shape] {
        let count = Int.random(in: range, using: &random)
        return (0..<count).map { _ in shape(depth: depth + 1) }
    }

    /// Signals are sent to runs that were started from outside, so a child waits for none.
    private mutating func child(_ depth: Int) -> Shape {
        let place = number(), wasChild = isChild
        isChild = true
        defer { isChild = wasChild }
        let inner = Shape.sequence(parts(depth, 1...2))
        return chance(20) ? .detached(place, inner) : .child(place, inner, isLeft: chance(25))
    }

    private mutating func leaf() -> Shape {
        if hasPeople, chance(20) {
            switch Int.random(in: 0..<3, using: &random) {
            case 0: return .stubborn(number())
            case 1: return .approved(number(), milliseconds: Int.random(in: 200...2_000, using: &random))
            default: return .shared(number())
            }
        }
        return switch Int.random(in: 0..<100, using: &random) {
        case 0..<38: .keyed(number())
        case 38..<62: .once(number())
        case 62..<70: .look(number())
        case 70..<84: .pause(number(), milliseconds: Int.random(in: 1...600, using: &random))
        case 84..<93: isChild ? .keyed(number()) : .signal(number())
        case 93..<97: .refused(number())
        default: .failure(number())
        }
    }
}
