import Perdure
import PerdureHistory
import Testing

@testable import PerdureEngine

@Suite struct ResourceGateTests {
    private let start = Timestamp(microseconds: 1_750_000_000_000_000)

    private func ticket(_ number: Int) -> ResourceGate.Ticket {
        ResourceGate.Ticket(run: Int64(number), operation: OperationID(number: 0))
    }

    private func gate(_ limits: ResourceLimits) -> ResourceGate { ResourceGate(limits: limits) }

    @Test func `what is outside its range is moved to the nearest end, also when it is set later`() {
        var limits = ResourceLimits(concurrency: 0)
        #expect(limits.concurrency == 1)
        limits.concurrency = 8
        #expect(limits.concurrency == 8)
        limits.concurrency = 0
        #expect(limits.concurrency == 1)
        limits.concurrency = nil
        #expect(limits.concurrency == nil)

        var circuit = ResourceLimits.Circuit(failures: -1, pause: .zero, longestPause: .zero, spread: .seconds(-1))
        #expect(circuit.failures == 1 && circuit.pause == .milliseconds(1))
        #expect(circuit.longestPause == .milliseconds(1) && circuit.spread == .zero)
        circuit.failures = 0
        circuit.pause = .seconds(-1)
        circuit.spread = .seconds(-1)
        #expect(circuit.failures == 1 && circuit.pause == .milliseconds(1) && circuit.spread == .zero)
        circuit.pause = .seconds(5)
        #expect(circuit.longestPause == .seconds(5), "it is never shorter than the pause")
        circuit.longestPause = .seconds(1)
        #expect(circuit.longestPause == .seconds(5))
        circuit.longestPause = .seconds(9)
        #expect(circuit.pause == .seconds(5) && circuit.longestPause == .seconds(9))
        limits.circuit?.failures = 0
        #expect(limits.circuit?.failures == 1)
    }

    @Test func `no more attempts are under way than allowed, and the first to ask is the next`() {
        var gate = gate(ResourceLimits(concurrency: 2))
        let answers = (1...4).map { gate.ask(ticket($0), now: start, random: 0) }
        #expect(answers == [.go, .go, .queued, .queued])
        #expect(gate.end(ticket(2), .answered, now: start) == [ticket(3)])
        #expect(gate.end(ticket(1), .answered, now: start) == [ticket(4)])
        #expect(gate.end(ticket(3), .answered, now: start) == [])
        #expect(gate.ask(ticket(5), now: start, random: 0) == .go)
    }

    @Test func `who gives up waiting keeps nobody from the place`() {
        var gate = gate(ResourceLimits(concurrency: 1))
        for number in 1...3 { _ = gate.ask(ticket(number), now: start, random: 0) }
        #expect(gate.end(ticket(2), .withdrawn, now: start) == [])
        #expect(gate.end(ticket(1), .answered, now: start) == [ticket(3)])
    }

    @Test func `who asks again keeps its place, and is not counted twice`() {
        var gate = gate(ResourceLimits(concurrency: 1))
        #expect(gate.ask(ticket(1), now: start, random: 0) == .go)
        #expect(gate.ask(ticket(1), now: start, random: 0) == .go)
        #expect(gate.ask(ticket(2), now: start, random: 0) == .queued)
        #expect(gate.ask(ticket(2), now: start, random: 0) == .queued)
        #expect(gate.end(ticket(1), .answered, now: start) == [ticket(2)])
        #expect(gate.waiting == 0)
    }

    @Test func `more than the queue holds are told to come again`() {
        var gate = gate(ResourceLimits(concurrency: 1))
        for number in 0...ResourceGate.queueLimit { _ = gate.ask(ticket(number), now: start, random: 0) }
        #expect(gate.ask(ticket(1_000), now: start, random: 0) == .later(start + .seconds(1)))
    }

    @Test func `who was told to come again stays away as long as the queue needs, and keeps the order`() {
        var gate = gate(ResourceLimits(concurrency: 1, circuit: nil)), now = start
        for number in 0...ResourceGate.queueLimit { _ = gate.ask(ticket(number), now: now, random: 0) }
        // An attempt takes a second; the place that it leaves is filled again.
        for number in 0..<20 {
            now = now + .seconds(1)
            _ = gate.end(ticket(number), .answered, now: now)
            _ = gate.ask(ticket(1_000 + number), now: now, random: 0)
        }
        for number in 0..<20 {
            let time = now + .seconds(ResourceGate.queueLimit / 2 + number)
            #expect(gate.ask(ticket(2_000 + number), now: now, random: 0) == .later(time))
        }
    }

    @Test func `while nothing ends, who comes again stays away for longer each time`() {
        var gate = gate(ResourceLimits(concurrency: 1, circuit: nil)), now = start, tries = 0
        for number in 0...ResourceGate.queueLimit { _ = gate.ask(ticket(number), now: now, random: 0) }
        while now < start + .minutes(60), case .later(let time) = gate.ask(ticket(1_000), now: now, random: 0) {
            #expect(time <= now + ResourceGate.longestAbsence)
            now = time
            tries += 1
        }
        #expect(tries < 30)
    }

    @Test func `the end of an earlier ask is not taken for that of a later one`() {
        var gate = gate(ResourceLimits(concurrency: 1))
        let earlier = ResourceGate.Ticket(run: 1, operation: OperationID(number: 0), number: 1)
        let later = ResourceGate.Ticket(run: 1, operation: OperationID(number: 0), number: 2)
        #expect(gate.ask(earlier, now: start, random: 0) == .go)
        #expect(gate.ask(later, now: start, random: 0) == .queued)
        #expect(gate.end(earlier, .answered, now: start) == [later])
    }

    @Test func `attempts begin at an even rate, after a quiet time in a burst`() {
        var gate = gate(ResourceLimits(rate: .init(10, per: .seconds(1), burst: 3), circuit: nil))
        #expect((1...4).map { gate.ask(ticket($0), now: start, random: 0) } == [.go, .go, .go, .queued])
        #expect(gate.nextAdmission(now: start) == start + .milliseconds(100))
        #expect(gate.admit(now: start + .milliseconds(99)) == [])
        #expect(gate.admit(now: start + .milliseconds(100)) == [ticket(4)])
        #expect(gate.nextAdmission(now: start) == nil)
    }

    @Test func `failures in a row open the circuit, and an answer starts the count anew`() {
        var gate = gate(ResourceLimits(circuit: .init(failures: 3, pause: .seconds(30), spread: .seconds(10))))
        func fail(_ number: Int) {
            _ = gate.ask(ticket(number), now: start, random: 0)
            _ = gate.end(ticket(number), .failed(retryAfter: nil), now: start)
        }
        fail(1)
        fail(2)
        _ = gate.ask(ticket(3), now: start, random: 0)
        _ = gate.end(ticket(3), .answered, now: start)
        fail(4)
        fail(5)
        #expect(!gate.isOpen)
        fail(6)
        #expect(gate.isOpen)
        #expect(gate.ask(ticket(7), now: start, random: 0.5) == .later(start + .seconds(35)))
    }

    // Promise: 18
    @Test func `after the pause one goes first, and the others follow when it has come through`() {
        var gate = gate(ResourceLimits(circuit: .init(failures: 1, pause: .seconds(30), spread: .seconds(10))))
        _ = gate.ask(ticket(1), now: start, random: 0)
        _ = gate.end(ticket(1), .failed(retryAfter: nil), now: start)
        let later = start + .seconds(30)
        #expect(gate.ask(ticket(1), now: later, random: 0) == .go)
        #expect(gate.ask(ticket(2), now: later, random: 1) == .later(later + .seconds(13)))
        _ = gate.end(ticket(1), .answered, now: later)
        #expect(gate.ask(ticket(2), now: later, random: 0) == .go)
    }

    @Test func `each failed trial doubles the pause, up to the longest`() {
        var gate = gate(
            ResourceLimits(circuit: .init(failures: 1, pause: .seconds(30), longestPause: .seconds(50), spread: .zero)))
        var now = start
        for pause in [30, 50, 50] {
            #expect(gate.ask(ticket(1), now: now, random: 0) == .go)
            _ = gate.end(ticket(1), .failed(retryAfter: nil), now: now)
            #expect(gate.ask(ticket(1), now: now, random: 0) == .later(now + .seconds(pause)))
            now = now + .seconds(pause)
        }
    }

    @Test func `a resource that says when to come back is left alone until then`() {
        var gate = gate(ResourceLimits(circuit: .init(spread: .zero)))
        _ = gate.ask(ticket(1), now: start, random: 0)
        _ = gate.end(ticket(1), .failed(retryAfter: .minutes(10)), now: start)
        #expect(gate.ask(ticket(2), now: start, random: 0) == .later(start + .minutes(10)))
    }

    @Test func `a trial that was not begun leaves the next one to another`() {
        var gate = gate(ResourceLimits(circuit: .init(failures: 1, pause: .seconds(30), spread: .zero)))
        _ = gate.ask(ticket(1), now: start, random: 0)
        _ = gate.end(ticket(1), .failed(retryAfter: nil), now: start)
        let later = start + .seconds(30)
        #expect(gate.ask(ticket(1), now: later, random: 0) == .go)
        _ = gate.end(ticket(1), .withdrawn, now: later)
        #expect(gate.ask(ticket(2), now: later, random: 0) == .go)
    }

    @Test func `who waits in memory when the circuit opens has to ask again`() {
        var gate = gate(ResourceLimits(concurrency: 1, circuit: .init(failures: 1)))
        for number in 1...2 { _ = gate.ask(ticket(number), now: start, random: 0) }
        #expect(gate.end(ticket(1), .failed(retryAfter: nil), now: start) == [])
        #expect(gate.dismiss() == [ticket(2)])
        #expect(gate.waiting == 0)
    }
}
