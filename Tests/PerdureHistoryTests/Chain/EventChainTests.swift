import PerdureHistory
import Testing

@Suite struct EventChainTests {
    @Test("the chain gives the hashes that an independent program computed from the definition")
    func pinned() {
        var head = ChainHead.start(namespace: "default", run: "run-1")
        #expect(head.hash.description == "ebdbf180ba87c04b374a0f3527f1decaeb2025bdf98ed1dec88e655998306ae3")
        let first = head.append(
            EventDraft(.runStarted, attributes: ["workflow": "greet"], input: .inline(Array(#""Ann""#.utf8))),
            run: "run-1", now: Timestamp(microseconds: 1000))
        #expect(first.hash.description == "436a42ffa2399288279e417a7e9977189e698fe54aa6a6bc50eb42ad838cd916")
        let second = head.append(
            EventDraft(.stepSucceeded, subject: "hello#1", output: .spilled(digest: Array(0..<32), size: 70_000)),
            run: "run-1", now: Timestamp(microseconds: 999), keyID: "key-7")
        #expect(second.hash.description == "6e4a50b90096383db41af85510d2b5ce5f0c72058a029ac1e204786e9717a154")
        #expect(head == ChainHead(after: second))
    }

    @Test("appending numbers events from 1 and never lets time go back")
    func appending() {
        var head = ChainHead.start(namespace: "n", run: "r")
        let times = [5, 9, 7, 7, 12].map { Timestamp(microseconds: $0) }
        let events = times.map { head.append(EventDraft(.statusReported), run: "r", now: $0) }
        #expect(events.map(\.seq) == [1, 2, 3, 4, 5])
        #expect(events.map(\.at.microseconds) == [5, 9, 9, 9, 12])
    }

    @Test("appending several drafts at once gives the same events as one after the other")
    func batch() {
        var one = ChainHead.start(namespace: "n", run: "r")
        var many = one
        let drafts = [EventDraft(.timerStarted, subject: "a"), EventDraft(.timerFired, subject: "a")]
        let now = Timestamp(microseconds: 3)
        #expect(
            many.append(contentsOf: drafts, run: "r", now: now) == drafts.map { one.append($0, run: "r", now: now) })
        #expect(one == many)
    }

    @Test("a value above 64 KiB is hashed by its digest and size, whether its bytes are at hand or not")
    func largeValues() {
        func hash(_ value: StoredValue) -> EventHash {
            var head = ChainHead.start(namespace: "n", run: "r")
            return head.append(EventDraft(.stepSucceeded, output: value), run: "r", now: .epoch).hash
        }
        for size in [65_536, 65_537] {
            let value = StoredValue.inline([UInt8](repeating: 120, count: size))
            let pointer = StoredValue.spilled(digest: value.digest, size: value.size)
            #expect((hash(value) == hash(pointer)) == (size > 65_536))
        }
        #expect(StoredValue.inline([]).digest.count == 32)
    }

    @Test("a chain depends on its namespace and its run")
    func start() {
        let hashes = [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", "")]
            .map { ChainHead.start(namespace: $0.0, run: $0.1).hash }
        #expect(Set(hashes).count == hashes.count)
    }

    @Test("an intact history verifies in one go and in parts")
    func intact() throws {
        let history = Histories.sample()
        let start = ChainHead.start(namespace: Histories.namespace, run: Histories.run)
        let end = try EventChain.verify(history, run: Histories.run, from: start)
        #expect(end == history.last.map { ChainHead(after: $0) })
        let middle = try EventChain.verify(history.prefix(4), run: Histories.run, from: start)
        #expect(try EventChain.verify(history.dropFirst(4), run: Histories.run, from: middle) == end)
        #expect(throws: ChainBreak.self) {
            try EventChain.verify(history, run: "another", from: start)
        }
    }

    @Test("a hash is 32 bytes, and reads back from bytes and from hex")
    func hashes() {
        let hash = ChainHead.start(namespace: "n", run: "r").hash
        #expect(EventHash(hash.bytes) == hash)
        #expect(EventHash(hex: hash.description) == hash)
        #expect(EventHash(hash.bytes.dropLast()) == nil)
        #expect(EventHash(hash.bytes + [0]) == nil)
        #expect(EventHash(hex: "xy") == nil)
        #expect(EventHash(hex: "abc") == nil)
        #expect(EventHash([]) == nil)
    }
}
