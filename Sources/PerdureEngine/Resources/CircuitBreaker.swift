import Perdure
import PerdureHistory
import PerdureStore

/// Whether one other side is left alone, as this node knows it, and what the store has to be told of it. A pure value: it is told the
/// time, random numbers in 0..<1, and what the store has answered.
///
/// Where nodes share a store, each open circuit is one row there, and every change of it stands on the row that was seen. So of several
/// nodes that want to try the resource after a pause one gets the leave. Its row holds the others back until the leave ends, which it does
/// by itself: whoever holds it has to ask for more. What cannot be asked of the store is decided by what is known here. The whole is in
/// docs/architecture.md.
struct CircuitBreaker {
    typealias Ticket = ResourceGate.Ticket

    /// Who this node is to the others.
    struct Sharing: Sendable, Hashable {
        let namespace: String
        let node: NodeID
        /// How long the others wait for one that tries the resource and says nothing more.
        let leave: Duration
    }

    /// An answer to somebody who waits for one.
    enum Verdict: Hashable {
        case go(Ticket)
        /// It has to ask again, and is told when.
        case askAgain(Ticket)
    }

    private enum State: Hashable {
        case closed(failures: Int)
        /// Nobody here goes before that time: the end of the pause, or of the leave of another node that tries the resource.
        case open(until: Timestamp, pause: Duration, isTried: Bool)
        /// The store is asked for leave.
        case asking(Ticket, pause: Duration)
        /// One attempt is under way after a pause.
        case trying(Ticket, pause: Duration, since: Timestamp)
    }

    /// A row that nobody has touched for so long after its time says nothing any more: nobody uses the resource.
    static let oblivion = Duration.hours(1)

    let limits: ResourceLimits.Circuit
    /// `nil` where no other node shares the store, or none can have the name.
    let sharing: Sharing?
    private let key: CircuitKey
    private var state = State.closed(failures: 0)
    /// What the store holds, as far as is known.
    private var row: CircuitRow?
    /// Whether the row says what the state says.
    private var isTold = true
    /// A change whose answer is not known, and the state that it has told. It is repeated until it is.
    private var sent: (change: CircuitChange, state: State)?

    init(_ limits: ResourceLimits.Circuit, of resource: String, sharing: Sharing?) {
        self.limits = limits
        key = CircuitKey(namespace: sharing?.namespace ?? "default", resource: Name.normalized(resource))
        self.sharing = key.flaw == nil ? sharing : nil
    }

    var isOpen: Bool { if case .closed = state { false } else { true } }
    /// Whether there is nothing to keep in mind.
    var isIdle: Bool { state == .closed(failures: 0) && isTold && row == nil && sent == nil }

    // MARK: Attempts

    /// Nothing if the circuit is closed.
    mutating func ask(_ ticket: Ticket, now: Timestamp, random: Double) -> ResourceGate.Answer? {
        switch state {
        case .closed: return nil
        case .open(let until, _, let isTried) where until > now:
            // An attempt may end long before its leave.
            return .later((isTried ? min(until, now + limits.pause / 10) : until) + spread(random))
        case .open(_, let pause, _): return begin(ticket, pause, now: now)
        case .asking(ticket, _): return .queued
        case .trying(_, let pause, let since) where isOver(since, now): return begin(ticket, pause, now: now)
        case .asking, .trying: return .later(now + limits.pause / 10 + spread(random))
        }
    }

    private mutating func begin(_ ticket: Ticket, _ pause: Duration, now: Timestamp) -> ResourceGate.Answer {
        guard sharing != nil else {
            state = .trying(ticket, pause: pause, since: now)
            return .go
        }
        state = .asking(ticket, pause: pause)
        isTold = false
        return .queued
    }

    /// An attempt that never ends must not hold back all nodes.
    private func isOver(_ since: Timestamp, _ now: Timestamp) -> Bool {
        sharing != nil && now >= max(row?.until ?? now, since + limits.longestPause)
    }

    mutating func note(_ outcome: ResourceGate.Outcome, of ticket: Ticket, now: Timestamp) {
        switch (outcome, state) {
        case (.answered, .closed): state = .closed(failures: 0)
        case (.answered, .trying(ticket, _, _)): change(to: .closed(failures: 0))
        case (.failed(let wait), .closed(let failures)):
            if failures + 1 >= limits.failures || wait != nil {
                open(for: max(limits.pause, wait.map(believed) ?? .zero), pause: limits.pause, now: now)
            } else {
                state = .closed(failures: failures + 1)
            }
        case (.failed(let wait), .trying(ticket, let pause, _)):
            let longer = min(pause * 2, limits.longestPause)
            open(for: max(longer, wait.map(believed) ?? .zero), pause: longer, now: now)
        case (.withdrawn, .trying(ticket, let pause, _)), (.withdrawn, .asking(ticket, let pause)):
            open(for: .zero, pause: pause, now: now)
        // What was sent before the circuit opened tells nothing new.
        case (.answered, _), (.failed, _), (.withdrawn, _): break
        }
    }

    private func believed(_ wait: Duration) -> Duration { min(wait, limits.longestRetryAfter) }

    private mutating func open(for time: Duration, pause: Duration, now: Timestamp) {
        change(to: .open(until: now + time, pause: pause, isTried: false))
    }

    private mutating func change(to next: State) {
        state = next
        isTold = sharing == nil
    }

    /// The store does not answer: goes on by what is known here. Returns whether it still waited for that.
    mutating func goOnAlone(_ ticket: Ticket, now: Timestamp) -> Bool {
        guard case .asking(ticket, let pause) = state else { return false }
        state = .trying(ticket, pause: pause, since: now)
        return true
    }

    /// Who waits for the store's answer.
    var asking: Ticket? { if case .asking(let ticket, _) = state { ticket } else { nil } }

    private func spread(_ random: Double) -> Duration { .microseconds(Int64(Double(limits.spread.microseconds) * random)) }

    // MARK: The store

    /// Whether the store is to be told something that it does not know, or may not know.
    var hasNews: Bool { sharing != nil && (!isTold || sent != nil) }
    func hasNews(at now: Timestamp) -> Bool { hasNews || nextTelling.map { $0 <= now } ?? false }

    /// What the store is to be told now. It has to be answered, or asked for again.
    ///
    /// - Parameter stamp: a number that was never used before.
    mutating func nextChange(now: Timestamp, stamp: @autoclosure () -> Int64) -> CircuitChange? {
        guard let sharing else { return nil }
        if let sent { return sent.change }
        if let due = nextTelling, due <= now {
            // The leave is made longer; what nobody uses any more goes.
            if case .open = state { state = .closed(failures: 0) }
            isTold = false
        }
        guard !isTold else { return nil }
        let next: CircuitRow? =
            switch state {
            case .closed: nil
            case .open(let until, let pause, _):
                CircuitRow(key, stamp: stamp(), until: until, pause: pause, changedAt: now)
            case .asking(_, let pause), .trying(_, let pause, _):
                CircuitRow(
                    key, stamp: stamp(), until: now + sharing.leave, pause: pause, prober: sharing.node, changedAt: now)
            }
        guard next != nil || row != nil else {
            isTold = true
            return nil
        }
        let change = CircuitChange(key, on: row?.stamp, to: next)
        sent = (change, state)
        return change
    }

    /// When there will be something to tell though nothing has happened here.
    var nextTelling: Timestamp? {
        guard let sharing, isTold, sent == nil, let row else { return nil }
        switch state {
        case .open(let until, _, _): return until + Self.oblivion
        case .trying(_, _, let since):
            let renewal = row.until - sharing.leave / 3 * 2
            return renewal < since + limits.longestPause ? renewal : nil
        case .closed, .asking: return nil
        }
    }

    mutating func answered(_ answer: CircuitAnswer, to change: CircuitChange, now: Timestamp) -> [Verdict] {
        guard let sent, sent.change == change else { return [] }
        self.sent = nil
        switch answer {
        case .made:
            row = change.row
            guard sent.state == state else { return [] }
            isTold = true
            guard case .asking(let ticket, let pause) = state else { return [] }
            state = .trying(ticket, pause: pause, since: now)
            return [.go(ticket)]
        case .refused(let current):
            if case .open(let until, _, false) = state, let current, current.prober == nil, time(of: current, now) < until {
                // Both have opened it: the longer of the two holds.
                row = current
                return []
            }
            return adopt(current, now: now)
        }
    }

    /// What the store holds, read after the last answer. What is to be told yet stands on what was seen before, and finds out by itself.
    mutating func saw(_ current: CircuitRow?, now: Timestamp) -> [Verdict] {
        guard sharing != nil, isTold, sent == nil, current?.stamp != row?.stamp else { return [] }
        return adopt(current, now: now)
    }

    private mutating func adopt(_ current: CircuitRow?, now: Timestamp) -> [Verdict] {
        let waiting = asking
        row = current
        isTold = true
        if let current {
            state = .open(until: time(of: current, now), pause: current.pause, isTried: current.prober != nil)
        } else if isOpen {
            state = .closed(failures: 0)
        }
        return waiting.map { [.askAgain($0)] } ?? []
    }

    /// Neither a clock that was set back nor a node that believes anything makes a wait longer here.
    private func time(of row: CircuitRow, _ now: Timestamp) -> Timestamp {
        let wait = max(.zero, row.until.duration(since: row.changedAt))
        let isPause = row.prober == nil
        return min(row.until, now + (isPause ? min(wait, max(row.pause, believed(wait))) : wait))
    }
}
