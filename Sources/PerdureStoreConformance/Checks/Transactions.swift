internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Synchronization
internal import Testing

extension StoreConformance {
    /// For stores with transactions: work of authors that is committed with the advance that records it.
    package static let transactions: [ConformanceCheck] = [
        ConformanceCheck("Work and the advance that records it are one transaction") { scene in
            var run = try await scene.owned()
            let advance = run.advance([succeeded])
            let result = try await scene.transact("a") { output in
                #expect(output == Array("a".utf8))
                return advance
            }
            guard case .committed(let made) = result else { throw Unexpected("a transaction", result) }
            #expect(made.events == advance.events)
            #expect(try await scene.harness.written() == ["a"])
            #expect(try await scene.history(run) == run.events)
        },
        ConformanceCheck("Work that throws leaves nothing, and nothing is recorded of it") { scene in
            let run = try await scene.owned()
            let result = try await scene.transact("a", throwing: true) { _ in
                Issue.record("recorded all the same")
                return nil
            }
            guard case .rolledBack = result else { throw Unexpected("work that throws", result) }
            #expect(try await scene.harness.written() == [])
            #expect(try await scene.history(run).count == 1)
        },
        ConformanceCheck("Work whose record is refused, or is not wanted any more, leaves nothing") { scene in
            var run = try await scene.owned()
            var stale = run
            stale.record.epoch += 1
            let refused = try await scene.transact("a") { [stale] _ in
                var stale = stale
                return stale.advance([succeeded])
            }
            guard case .refused(.conflict) = refused else { throw Unexpected("work for a run of somebody else", refused) }
            let withdrawn = try await scene.transact("b") { _ in nil }
            guard case .withdrawn = withdrawn else { throw Unexpected("work that nobody wants", withdrawn) }
            #expect(try await scene.harness.written() == [])
            try await scene.advance(run.advance([succeeded]))
        },
        ConformanceCheck("Of a transaction whose answer was lost the repeat finds what was done, and does nothing again") {
            scene in
            var run = try await scene.owned()
            let advance = run.advance([succeeded])
            scene.wrap { FaultyStore($0, .nth(1, .loseAnswer)) }
            do throws(StoreError) {
                _ = try await scene.transact("a") { _ in advance }
                Issue.record("the answer was not lost")
            } catch {
                guard case .outcomeUnknown = error else { throw error }
            }
            let result = try await scene.transact("a", earlier: advance) { _ in
                Issue.record("done again")
                return nil
            }
            guard case .committed(let found) = result else { throw Unexpected("the repeat", result) }
            #expect(found.events == advance.events)
            #expect(try await scene.harness.written() == ["a"])
            #expect(try await scene.history(run) == run.events)
        },
        ConformanceCheck("A transaction whose earlier try is not durable is done") { scene in
            let run = try await scene.owned()
            var lost = run, made = run
            let earlier = lost.advance([EventDraft(.stepSucceeded, subject: "lost")]), advance = made.advance([succeeded])
            let result = try await scene.transact("a", earlier: earlier) { _ in advance }
            guard case .committed = result else { throw Unexpected("the repeat", result) }
            #expect(try await scene.harness.written() == ["a"])
            #expect(try await scene.history(run) == made.events)
        },
    ]

    private static let succeeded = EventDraft(.stepSucceeded, subject: "a", output: .inline(Array("1".utf8)))
}

private struct Thrown: Error {}

extension Scene {
    /// Writes the text, and has it recorded.
    fileprivate func transact(
        _ text: String, throwing: Bool = false, earlier: RunAdvance? = nil,
        record: @escaping @Sendable ([UInt8]) -> RunAdvance?
    ) async throws(StoreError) -> TransactionResult {
        let harness = harness
        return try await store.transact(
            StoreTransaction(
                limit: .seconds(60), earlier: earlier,
                work: { connection in
                    try harness.write(text, with: connection)
                    if throwing { throw Thrown() }
                    return Array(text.utf8)
                }, record: record))
    }
}
