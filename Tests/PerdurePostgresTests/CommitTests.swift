import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdurePostgres

struct CommitTests: TwoNodeTests {
    @Test func `what is wrong with one run is told of that run alone, and what is durable beside it is not decided twice`()
        async throws
    {
        try await withNodes { one, _, harness in
            var damaged = try await owned(one), sound = try await owned(one), leaving = try await owned(one)
            let receiver = try await owned(one), beating = try await owned(one)
            let damage = "UPDATE perdure.events SET hash = '\\x00' WHERE run = \(damaged.number)"
            try await harness.database.connect().perform { try $0.run(damage) }
            let step = [EventDraft(.stepSucceeded, subject: "a")]
            let message = Delivery(to: receiver.record.id, id: "m", kind: .signal, name: "go", sender: Sample.person)
            let beat = Heartbeat(run: beating.number, epoch: beating.record.epoch, subject: "a", isUndo: false, details: nil)
            let results = try await one.commit([
                .deliver(message), .advance(damaged.advance(step)), .advance(sound.advance(step)),
                .advance(leaving.advance([], to: .init(to: .ready))), .beat(beat),
            ])
            #expect(results.map { "\($0)".prefix { $0 != "(" } } == ["delivered", "refused", "advanced", "advanced", "advanced"])
            guard case .delivered(isDuplicate: false)? = results.first, case .refused(.invalid) = results[1] else {
                Issue.record("\(results)")
                return
            }
            #expect(try await one.events(of: sound.number, after: 1, limit: 9).count == 1)
        }
    }
}
