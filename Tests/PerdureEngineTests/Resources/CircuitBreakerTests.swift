import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

/// Circuits of several nodes, and the one table that they share.
@Suite struct CircuitBreakerTests {
    /// What the store does, by the rule that every store keeps.
    private struct Table {
        var row: CircuitRow?
        var writes = 0

        mutating func set(_ change: CircuitChange) -> CircuitAnswer {
            guard let isOpen = change.isOpen(on: row) else { return .made }
            guard isOpen, change.flaw == nil else { return .refused(row) }
            row = change.row
            writes += 1
            return .made
        }
    }

    /// Nodes of which each speaks with the table when it is told to.
    private struct Nodes {
        var table = Table()
        var breakers: [CircuitBreaker]
        var now = Timestamp(microseconds: 1_750_000_000_000_000)
        private var lastStamp: Int64 = 0
        private var lastTicket = 0

        init(_ count: Int = 2, _ limits: ResourceLimits.Circuit = CircuitBreakerTests.limits) {
            breakers = (0..<count).map { number in
                CircuitBreaker(
                    limits, of: "bank",
                    sharing: .init(namespace: "default", node: NodeID(rawValue: "node-\(number)"), leave: .seconds(15)))
            }
        }

        mutating func ticket() -> ResourceGate.Ticket {
            lastTicket += 1
            return ResourceGate.Ticket(run: Int64(lastTicket), operation: OperationID(number: 0))
        }

        mutating func next(_ node: Int) -> CircuitChange? {
            lastStamp += 1
            return breakers[node].nextChange(now: now, stamp: lastStamp)
        }

        /// What the node has to say, which there must be.
        mutating func change(_ node: Int) throws -> CircuitChange {
            let change = next(node)
            return try #require(change)
        }

        /// Has the node wait for the store no longer. Returns whether it did.
        mutating func goOnAlone(_ node: Int, _ ticket: ResourceGate.Ticket) -> Bool {
            breakers[node].goOnAlone(ticket, now: now)
        }

        /// Says everything that the node has to say.
        @discardableResult
        mutating func tell(_ node: Int) -> [CircuitBreaker.Verdict] {
            var verdicts: [CircuitBreaker.Verdict] = []
            while let change = next(node) {
                verdicts += breakers[node].answered(table.set(change), to: change, now: now)
            }
            return verdicts
        }

        @discardableResult
        mutating func look(_ node: Int) -> [CircuitBreaker.Verdict] { breakers[node].saw(table.row, now: now) }

        /// An attempt on a node whose circuit is closed.
        mutating func attempt(_ node: Int, _ outcome: ResourceGate.Outcome) {
            let ticket = ticket()
            #expect(breakers[node].ask(ticket, now: now, random: 0) == nil)
            breakers[node].note(outcome, of: ticket, now: now)
        }

        mutating func ask(_ node: Int, random: Double = 0) -> (ResourceGate.Ticket, ResourceGate.Answer?) {
            let ticket = ticket()
            return (ticket, breakers[node].ask(ticket, now: now, random: random))
        }

        /// Has the node try the resource, which nobody keeps from it.
        mutating func `try`(_ node: Int) -> ResourceGate.Ticket {
            let (ticket, answer) = ask(node)
            #expect(answer == .queued)
            #expect(tell(node) == [.go(ticket)])
            return ticket
        }

        /// Opened by the first node, and known to all.
        mutating func open() {
            attempt(0, .failed(retryAfter: nil))
            tell(0)
            for node in breakers.indices { look(node) }
        }
    }

    private static let limits = ResourceLimits.Circuit(
        failures: 1, pause: .seconds(30), longestPause: .seconds(100), spread: .seconds(10))

    @Test func `as long as all is well the store is told nothing`() {
        var nodes = Nodes(1, .init(failures: 3))
        for _ in 0..<50 {
            nodes.attempt(0, .answered)
            nodes.attempt(0, .failed(retryAfter: nil))
            nodes.attempt(0, .failed(retryAfter: nil))
            nodes.attempt(0, .answered)
            #expect(nodes.next(0) == nil && !nodes.breakers[0].hasNews)
        }
        #expect(nodes.breakers[0].isIdle)
    }

    // Promise: 18
    @Test func `what one node opens holds back the others, and after the pause one of all goes first`() {
        var nodes = Nodes(3)
        nodes.open()
        #expect(nodes.table.writes == 1)
        for node in 0..<3 { #expect(nodes.ask(node, random: 0.5).1 == .later(nodes.now + .seconds(35))) }
        nodes.now = nodes.now + .seconds(30)
        let asked = (0..<3).map { nodes.ask($0) }
        #expect(asked.map(\.1) == [.queued, .queued, .queued])
        #expect(nodes.tell(1) == [.go(asked[1].0)])
        for node in [0, 2] {
            #expect(nodes.tell(node) == [.askAgain(asked[node].0)])
            #expect(nodes.ask(node, random: 0.5).1 == .later(nodes.now + .seconds(8)))
        }
        #expect(nodes.ask(1, random: 0.5).1 == .later(nodes.now + .seconds(8)), "the others of its own node wait as well")
        nodes.breakers[1].note(.answered, of: asked[1].0, now: nodes.now)
        nodes.tell(1)
        #expect(nodes.table.row == nil)
        for node in 0..<3 {
            nodes.look(node)
            #expect(nodes.breakers[node].isIdle && nodes.ask(node).1 == nil)
        }
    }

    @Test func `a failed attempt doubles the pause for all, up to the longest`() {
        var nodes = Nodes()
        nodes.open()
        for (number, pause) in [30, 60, 100, 100].enumerated() {
            let here = number % 2, there = 1 - here
            for node in [here, there] {
                nodes.look(node)
                #expect(nodes.ask(node).1 == .later(nodes.now + .seconds(pause)))
            }
            nodes.now = nodes.now + .seconds(pause)
            let ticket = nodes.try(here)
            nodes.breakers[here].note(.failed(retryAfter: nil), of: ticket, now: nodes.now)
            nodes.tell(here)
        }
    }

    @Test func `a failure that says when to come back is believed for so long, whichever node has heard it`() {
        let believing = ResourceLimits.Circuit(failures: 9, pause: .seconds(30), spread: .zero, longestRetryAfter: .days(900))
        var nodes = Nodes(2, .init(failures: 9, pause: .seconds(30), spread: .zero, longestRetryAfter: .minutes(10)))
        nodes.attempt(0, .failed(retryAfter: .days(365)))
        nodes.tell(0)
        nodes.look(1)
        for node in 0..<2 { #expect(nodes.ask(node).1 == .later(nodes.now + .minutes(10))) }
        nodes.now = nodes.now + .minutes(10)
        let ticket = nodes.try(1)
        // A node that believes it for longer does so for itself.
        nodes.breakers[1].note(.answered, of: ticket, now: nodes.now)
        nodes.tell(1)
        nodes.breakers[1] = Nodes(2, believing).breakers[1]
        nodes.attempt(1, .failed(retryAfter: .days(365)))
        nodes.tell(1)
        nodes.look(0)
        #expect(nodes.ask(0).1 == .later(nodes.now + .minutes(10)))
        #expect(nodes.ask(1).1 == .later(nodes.now + .days(365)))
    }

    @Test func `each node doubles up to its own longest pause`() {
        var nodes = Nodes()
        nodes.breakers[1] = Nodes(2, .init(failures: 9, pause: .seconds(1), longestPause: .seconds(40))).breakers[1]
        nodes.open()
        nodes.now = nodes.now + .seconds(30)
        let ticket = nodes.try(1)
        nodes.breakers[1].note(.failed(retryAfter: nil), of: ticket, now: nodes.now)
        nodes.tell(1)
        nodes.look(0)
        #expect(nodes.ask(0).1 == .later(nodes.now + .seconds(40)))
    }

    // Promise: 18
    @Test func `a node that dies while it tries the resource gives way to another one when its leave ends`() {
        var nodes = Nodes()
        nodes.open()
        nodes.now = nodes.now + .seconds(30)
        _ = nodes.try(0)
        nodes.look(1)
        nodes.now = nodes.now + .seconds(14)
        guard case .later = nodes.ask(1).1 else {
            Issue.record("the leave has not ended")
            return
        }
        nodes.now = nodes.now + .seconds(1)
        _ = nodes.try(1)
    }

    @Test func `a node that lives asks for more leave, but not for ever`() {
        var nodes = Nodes()
        nodes.open()
        nodes.now = nodes.now + .seconds(30)
        _ = nodes.try(0)
        let begin = nodes.now
        while let next = nodes.breakers[0].nextTelling {
            #expect(next <= nodes.now + .seconds(5))
            nodes.now = next
            nodes.tell(0)
            nodes.look(1)
            guard case .later = nodes.ask(1).1 else {
                Issue.record("somebody tries the resource")
                return
            }
        }
        nodes.now = nodes.now + .seconds(15)
        #expect(nodes.now.duration(since: begin) >= .seconds(100) && nodes.now.duration(since: begin) <= .seconds(115))
        _ = nodes.try(1)
        #expect(nodes.look(0) == [])
        guard case .later = nodes.ask(0).1 else {
            Issue.record("another node has the leave now")
            return
        }
    }

    @Test func `where nobody else tries it, the node itself gives up an attempt that does not end`() {
        var nodes = Nodes(1)
        nodes.open()
        nodes.now = nodes.now + .seconds(30)
        let stuck = nodes.try(0)
        nodes.now = nodes.now + .seconds(120)
        let second = nodes.try(0)
        nodes.breakers[0].note(.answered, of: stuck, now: nodes.now)
        #expect(nodes.breakers[0].isOpen)
        nodes.breakers[0].note(.answered, of: second, now: nodes.now)
        #expect(!nodes.breakers[0].isOpen)
    }

    @Test(arguments: [ResourceGate.Outcome.answered, .failed(retryAfter: .days(1)), .withdrawn])
    func `a node that stood still changes nothing by what it knew`(outcome: ResourceGate.Outcome) {
        var nodes = Nodes()
        nodes.open()
        nodes.now = nodes.now + .seconds(30)
        let old = nodes.try(0)
        nodes.look(1)
        nodes.now = nodes.now + .seconds(60)
        _ = nodes.try(1)
        let row = nodes.table.row
        nodes.breakers[0].note(outcome, of: old, now: nodes.now)
        nodes.tell(0)
        #expect(nodes.table.row == row)
        guard case .later = nodes.ask(0).1 else {
            Issue.record("another node has the leave")
            return
        }
    }

    @Test func `a node that stood still and comes to a circuit that has closed meanwhile is let through`() {
        var nodes = Nodes()
        nodes.open()
        nodes.now = nodes.now + .seconds(30)
        let ticket = nodes.try(1)
        nodes.breakers[1].note(.answered, of: ticket, now: nodes.now)
        nodes.tell(1)
        let (late, answer) = nodes.ask(0)
        #expect(answer == .queued)
        #expect(nodes.tell(0) == [.askAgain(late)])
        #expect(nodes.ask(0).1 == nil)
    }

    @Test func `a change whose answer was lost is repeated, and not made twice`() throws {
        var nodes = Nodes()
        nodes.open()
        nodes.now = nodes.now + .seconds(30)
        let (ticket, _) = nodes.ask(0)
        let change = try nodes.change(0)
        #expect(nodes.table.set(change) == .made)
        #expect(nodes.next(0) == change)
        #expect(nodes.tell(0) == [.go(ticket)])
        #expect(nodes.table.writes == 2)
    }

    @Test func `without the store a node goes on by what it knows, and hears of the others when it is there again`() throws {
        var nodes = Nodes()
        nodes.open()
        nodes.now = nodes.now + .seconds(30)
        let (ticket, _) = nodes.ask(0), unheard = try nodes.change(0)
        let answers = (0..<2).map { _ in nodes.goOnAlone(0, ticket) }
        #expect(answers == [true, false])
        // Meanwhile the other one tries it, and fails.
        let other = nodes.try(1)
        nodes.breakers[1].note(.failed(retryAfter: nil), of: other, now: nodes.now)
        nodes.tell(1)
        nodes.breakers[0].note(.answered, of: ticket, now: nodes.now)
        #expect(nodes.ask(0).1 == nil, "what it knows is that the resource answers")
        #expect(nodes.next(0) == unheard, "what may have been heard is said again")
        nodes.tell(0)
        #expect(nodes.ask(0).1 == .later(nodes.now + .seconds(60)))
    }

    @Test func `what a node does without the store the others hear when it is there again`() throws {
        var nodes = Nodes()
        nodes.open()
        nodes.now = nodes.now + .seconds(30)
        let (ticket, _) = nodes.ask(0)
        _ = nodes.next(0)
        let goesOn = nodes.goOnAlone(0, ticket)
        #expect(goesOn)
        nodes.breakers[0].note(.failed(retryAfter: nil), of: ticket, now: nodes.now)
        nodes.tell(0)
        nodes.look(1)
        for node in 0..<2 { #expect(nodes.ask(node).1 == .later(nodes.now + .seconds(60))) }
    }

    @Test func `of two nodes that open it at the same time the longer pause holds`() {
        var nodes = Nodes(3)
        for (node, pause) in [Duration.minutes(1), .minutes(10), .minutes(5)].enumerated() {
            nodes.attempt(node, .failed(retryAfter: pause))
        }
        for node in 0..<3 { nodes.tell(node) }
        for node in 0..<3 {
            nodes.look(node)
            #expect(nodes.ask(node).1 == .later(nodes.now + .minutes(10)))
        }
    }

    @Test func `who gives up before the store has answered gives the leave back`() throws {
        var nodes = Nodes()
        nodes.open()
        nodes.now = nodes.now + .seconds(30)
        let (ticket, _) = nodes.ask(0), change = try nodes.change(0)
        let answer = nodes.table.set(change)
        nodes.breakers[0].note(.withdrawn, of: ticket, now: nodes.now)
        #expect(nodes.breakers[0].answered(answer, to: change, now: nodes.now) == [])
        nodes.tell(0)
        nodes.look(1)
        _ = nodes.try(1)
    }

    @Test func `a clock that was set back makes no wait longer than it was meant to be`() {
        var nodes = Nodes()
        nodes.attempt(0, .failed(retryAfter: nil))
        nodes.tell(0)
        nodes.now = nodes.now - .hours(1)
        nodes.look(1)
        #expect(nodes.ask(1).1 == .later(nodes.now + .seconds(30)))
    }

    @Test func `a circuit that nobody has touched for long is forgotten`() throws {
        var nodes = Nodes()
        nodes.open()
        let end = nodes.now + .seconds(30) + CircuitBreaker.oblivion
        #expect(nodes.breakers[1].nextTelling == end)
        nodes.now = end
        nodes.tell(1)
        #expect(nodes.table.row == nil && nodes.breakers[1].isIdle)
        nodes.look(0)
        #expect(nodes.breakers[0].isIdle)
    }

    @Test func `a name that no store can keep has a circuit of the node's own`() {
        var breaker = CircuitBreaker(
            Self.limits, of: "a\nb", sharing: .init(namespace: "default", node: NodeID(rawValue: "n"), leave: .seconds(15)))
        let nodes = Nodes(), ticket = ResourceGate.Ticket(run: 1, operation: OperationID(number: 0))
        breaker.note(.failed(retryAfter: nil), of: ticket, now: nodes.now)
        #expect(breaker.isOpen && !breaker.hasNews)
        #expect(breaker.ask(ticket, now: nodes.now + .seconds(30), random: 0) == .go)
    }
}
