import PerdureHistory
import Testing

@Suite struct TamperingTests {
    static let changes: [(name: String, change: @Sendable (inout Event) -> Void)] = [
        ("seq one up", { $0.seq += 1 }),
        ("seq zero", { $0.seq = 0 }),
        ("seq at its end", { $0.seq = .max }),
        ("a later time", { $0.at = $0.at + .microseconds(1) }),
        ("an earlier time", { $0.at = .distantPast }),
        ("another kind", { $0.kind = $0.kind == .runSealed ? .runReset : .runSealed }),
        ("another subject", { $0.subject += "x" }),
        ("an attribute", { $0.attributes = ["attempt": 99] }),
        ("spelling of attributes", { $0.attributes = Attributes(storedText: $0.attributes.text + " ") }),
        ("input gone or come", { $0.input = $0.input == nil ? .inline([]) : nil }),
        ("another input", { $0.input = .inline([1]) }),
        ("output gone or come", { $0.output = $0.output == nil ? .inline([]) : nil }),
        ("a spilled output's size", { $0.output = .spilled(digest: Array(repeating: 0, count: 32), size: 77) }),
        ("a spilled output's digest", { $0.output = .spilled(digest: Array(repeating: 99, count: 32), size: $0.seq - 1) }),
        ("input and output swapped", { ($0.input, $0.output) = ($0.output, $0.input) }),
        ("the key id", { $0.keyID = $0.keyID == nil ? "" : nil }),
        (
            "the hash",
            { event in
                var bytes = event.hash.bytes
                bytes[31] ^= 1
                event.hash = EventHash(bytes) ?? event.hash
            }
        ),
    ]

    @Test("every changed field of every event is found at its sequence number", arguments: 0..<8, changes.indices)
    func changed(_ index: Int, _ change: Int) {
        let original = Histories.sample()
        var history = original
        Self.changes[change].change(&history[index])
        #expect(history[index] != original[index], "\(Self.changes[change].name) changed nothing")
        #expect(position(of: history) == Int64(index + 1), "\(Self.changes[change].name)")
    }

    @Test("an event removed, doubled, swapped or added is found where it happened", arguments: 0..<7)
    func moved(_ index: Int) {
        let original = Histories.sample()
        var history = original
        history.remove(at: index)
        #expect(position(of: history) == Int64(index + 1))
        history = original
        history.insert(original[index], at: index)
        #expect(position(of: history) == Int64(index + 2))
        history = original
        history.swapAt(index, index + 1)
        #expect(position(of: history) == Int64(index + 1))
    }

    @Test("a changed event with its hash computed anew breaks the chain at the next event", arguments: 0..<7)
    func rehashed(_ index: Int) {
        var history = Histories.sample()
        let before =
            index == 0
            ? ChainHead.start(namespace: Histories.namespace, run: Histories.run) : ChainHead(after: history[index - 1])
        history[index].subject = "forged"
        history[index].hash = EventChain.hash(of: history[index], run: Histories.run, after: before.hash)
        #expect(position(of: history) == Int64(index + 2))
    }

    @Test("a broken chain says in a sentence which run and event, and what is wrong")
    func sentences() throws {
        var history = Histories.sample()
        history[2].at = .distantPast
        let time = try #require(breach(of: history))
        #expect(time.description.hasPrefix("The history of run \(Histories.run) is broken at event 3: its time -290308"))
        let gap = try #require(breach(of: Array(Histories.sample().dropFirst())))
        #expect(gap.description.contains("broken at event 1: event 2 stands in its place"))
        history = Histories.sample()
        history[4].subject = "x"
        let mismatch = try #require(breach(of: history))
        #expect(mismatch.description.contains("broken at event 5: its hash is"))
    }

    private func breach(of history: [Event]) -> ChainBreak? {
        do throws(ChainBreak) {
            try EventChain.verify(
                history, run: Histories.run, from: .start(namespace: Histories.namespace, run: Histories.run))
            return nil
        } catch {
            return error
        }
    }

    private func position(of history: [Event]) -> Int64? {
        breach(of: history)?.seq
    }
}
