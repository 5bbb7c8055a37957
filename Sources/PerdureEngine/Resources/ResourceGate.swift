import DequeModule
import Perdure
import PerdureHistory
import PerdureStore

/// Who may turn to one other side now. A pure value: it is told the time, and random numbers in 0..<1.
struct ResourceGate {
    /// A step that asks, once for each attempt.
    struct Ticket: Hashable {
        let run: Int64
        let operation: OperationID
        /// Of its own for each time that somebody asks: the body of an attempt can outlive the stay of its run in memory, and its end
        /// must not be taken for that of the next one.
        var number: Int64 = 0
    }

    enum Answer: Hashable {
        /// The attempt may begin, and has to be ended.
        case go
        /// It is told as soon as it may.
        case queued
        /// It has to ask again at this time. Nobody keeps its place, so that the run can leave memory.
        case later(Timestamp)
    }

    /// How an attempt ended, as far as it tells something of the other side.
    enum Outcome: Hashable {
        /// It answered, be it with a refusal.
        case answered
        /// It could not do what it is there for, and may have said when to come back.
        case failed(retryAfter: Duration?)
        /// The attempt was not begun after all.
        case withdrawn
    }

    let limits: ResourceLimits
    /// `nil` if the other side is never left alone.
    private(set) var circuit: CircuitBreaker?
    private var underWay: Set<Ticket> = []
    private var queue = Deque<Ticket>()
    private var queued: Set<Ticket> = []
    /// When the next attempt would be due if all were evenly spread.
    private var slot = Timestamp.epoch

    /// When those may come that were told to come again, one after the other as fast as attempts end: they keep their order among
    /// each other, and few of them come in vain.
    private var nextReturn = Timestamp.epoch
    /// How far apart attempts have ended of late.
    private var pace = Duration.zero
    /// When the last one ended, or when somebody was told to come again for want of it.
    private var lastProgress: Timestamp?

    /// How many wait in memory. More are told to come again.
    static let queueLimit = 256
    /// The longest that anybody is told to stay away: a resource can become faster.
    static let longestAbsence = Duration.minutes(10)

    /// - Parameter sharing: Where other nodes share the store.
    init(limits: ResourceLimits, of resource: String = "", sharing: CircuitBreaker.Sharing? = nil) {
        self.limits = limits
        circuit = limits.circuit.map { CircuitBreaker($0, of: resource, sharing: sharing) }
    }

    var isOpen: Bool { circuit?.isOpen ?? false }
    var waiting: Int { queue.count }
    var isIdle: Bool { underWay.isEmpty && queue.isEmpty && circuit?.isIdle ?? true }

    mutating func ask(_ ticket: Ticket, now: Timestamp, random: Double) -> Answer {
        if underWay.contains(ticket) { return .go }
        if queued.contains(ticket) { return .queued }
        if let answer = circuit?.ask(ticket, now: now, random: random) {
            if answer == .go { underWay.insert(ticket) }
            return answer
        }
        if queue.isEmpty, begin(ticket, now: now) { return .go }
        guard queue.count < Self.queueLimit else { return .later(turnAway(now: now, random: random)) }
        queue.append(ticket)
        queued.insert(ticket)
        return .queued
    }

    /// Ends an attempt, or a wait. Returns who may begin now.
    mutating func end(_ ticket: Ticket, _ outcome: Outcome, now: Timestamp) -> [Ticket] {
        if queued.remove(ticket) != nil { queue.removeAll { $0 == ticket } }
        guard underWay.remove(ticket) != nil else {
            if circuit?.asking == ticket { circuit?.note(.withdrawn, of: ticket, now: now) }
            return []
        }
        if outcome != .withdrawn { measure(now: now) }
        circuit?.note(outcome, of: ticket, now: now)
        return admit(now: now)
    }

    /// Who may begin because of the time. They are told and count as under way.
    mutating func admit(now: Timestamp) -> [Ticket] {
        guard !isOpen else { return [] }
        var admitted: [Ticket] = []
        while let first = queue.first, begin(first, now: now) {
            queue.removeFirst()
            queued.remove(first)
            admitted.append(first)
        }
        return admitted
    }

    /// Those that wait in memory while the circuit opens: they have to ask again, and are told when.
    mutating func dismiss() -> [Ticket] {
        guard isOpen else { return [] }
        defer {
            queue = []
            queued = []
        }
        return Array(queue)
    }

    /// When `admit` is worth a call without anything having ended.
    func nextAdmission(now: Timestamp) -> Timestamp? {
        guard !queue.isEmpty, !isOpen, let rate = limits.rate, limits.concurrency.map({ underWay.count < $0 }) ?? true else {
            return nil
        }
        return rate.opens(slot, now: now)
    }

    private mutating func begin(_ ticket: Ticket, now: Timestamp) -> Bool {
        if let most = limits.concurrency, underWay.count >= most { return false }
        if let rate = limits.rate {
            guard rate.allowance(slot, now: now) > 0 else { return false }
            slot = rate.slot(after: 1, from: slot, now: now)
        }
        underWay.insert(ticket)
        return true
    }

    // MARK: The circuit

    mutating func nextChange(now: Timestamp, stamp: @autoclosure () -> Int64) -> CircuitChange? {
        circuit?.nextChange(now: now, stamp: stamp())
    }

    mutating func answered(_ answer: CircuitAnswer, to change: CircuitChange, now: Timestamp) -> [CircuitBreaker.Verdict] {
        underWay(circuit?.answered(answer, to: change, now: now) ?? [])
    }

    mutating func saw(_ row: CircuitRow?, now: Timestamp) -> [CircuitBreaker.Verdict] {
        underWay(circuit?.saw(row, now: now) ?? [])
    }

    mutating func goOnAlone(_ ticket: Ticket, now: Timestamp) -> [CircuitBreaker.Verdict] {
        circuit?.goOnAlone(ticket, now: now) == true ? underWay([.go(ticket)]) : []
    }

    private mutating func underWay(_ verdicts: [CircuitBreaker.Verdict]) -> [CircuitBreaker.Verdict] {
        for case .go(let ticket) in verdicts { underWay.insert(ticket) }
        return verdicts
    }

    /// When somebody who finds the queue full may come again.
    private mutating func turnAway(now: Timestamp, random: Double) -> Timestamp {
        if lastProgress == nil { lastProgress = now }
        // As long as nothing ends, nobody knows the pace; it is slower than that.
        let silence = lastProgress.map { now.duration(since: $0) } ?? .zero
        let soonest = now + max(.seconds(1), pace * (Self.queueLimit / 2), silence)
        let next = max(nextReturn + pace, soonest) + spread(random)
        guard next < now + Self.longestAbsence else {
            // Spread, so that those who came together do not come together again.
            return now + Self.longestAbsence / 2 + .microseconds(Int64(Double((Self.longestAbsence / 2).microseconds) * random))
        }
        nextReturn = max(nextReturn + pace, soonest)
        return next
    }

    /// An attempt has ended.
    private mutating func measure(now: Timestamp) {
        if queue.isEmpty {
            // Nobody waits: how fast it could be is not known.
            lastProgress = nil
            return
        }
        if let lastProgress {
            let last = max(now.duration(since: lastProgress), .zero)
            pace = pace == .zero ? last : (pace * 7 + last) / 8
        }
        lastProgress = now
    }

    private func spread(_ random: Double) -> Duration {
        .microseconds(Int64(Double((limits.circuit?.spread ?? .seconds(1)).microseconds) * random))
    }
}
