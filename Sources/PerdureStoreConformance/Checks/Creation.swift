internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    static let creation: [ConformanceCheck] = [
        ConformanceCheck("A new run reads back as it was given") { scene in
            let run = try await scene.create(SampleRun(key: "order 7"))
            #expect(run.number > 0)
            #expect(try await scene.store.run(run.record.id) == run.record)
            #expect(try await scene.store.run(namespace: "default", workflow: "greeting", key: "order 7") == run.record)
            #expect(try await scene.history(run) == run.events)
        },
        ConformanceCheck("Creating the same run twice answers the same and writes nothing") { scene in
            let given = SampleRun(key: "k")
            let run = try await scene.create(given)
            #expect(try await scene.create(given).record == run.record)
            #expect(try await scene.history(run).count == 1)
        },
        ConformanceCheck("Creating a run again after it went on answers where it stands now") { scene in
            let given = SampleRun(owner: scene.node)
            var run = try await scene.create(given)
            try await scene.advance(run.advance([EventDraft(.runCompleted)], to: .init(to: .completed)))
            #expect(try await scene.create(given).record.state == .completed)
        },
        ConformanceCheck("A key that is taken answers with the run that has it") { scene in
            let first = try await scene.create(SampleRun(key: "k"))
            let second = SampleRun(key: "k")
            guard case .keyTaken(let holder) = try await scene.commit(second.creation) else {
                Issue.record("the key was given away twice")
                return
            }
            #expect(holder == first.record)
            #expect(try await scene.store.run(second.record.id) == nil)
        },
        ConformanceCheck("The same key may be used in another namespace and by another workflow") { scene in
            _ = try await scene.create(SampleRun(key: "k"))
            _ = try await scene.create(SampleRun(namespace: "other", key: "k"))
            _ = try await scene.create(SampleRun(workflow: "farewell", key: "k"))
        },
        ConformanceCheck("An id with another first event is refused") { scene in
            let run = try await scene.create(SampleRun())
            let twin = SampleRun(at: Sample.start + .seconds(1), id: run.record.id)
            guard case .invalid = try await scene.refusal(of: twin.creation) else {
                Issue.record("the twin was not refused as invalid")
                return
            }
            #expect(try await scene.history(run) == run.events)
        },
        ConformanceCheck("An owner that is not the registered node is refused") { scene in
            let run = SampleRun(owner: NodeID(rawValue: "nobody"))
            let refusal = try await scene.refusal(of: run.creation)
            #expect(refusal == .conflict)
        },
        ConformanceCheck("A run without events, or with a gap between them, is refused") { scene in
            var gap = SampleRun()
            gap.append(EventDraft(.statusReported))
            let items: [CommitItem] = [
                .create(NewRun(record: gap.record, events: [])), .create(NewRun(record: gap.record, events: [gap.events[1]])),
            ]
            for item in items {
                guard case .invalid = try await scene.refusal(of: item) else {
                    Issue.record("not refused as invalid")
                    return
                }
            }
            #expect(try await scene.store.run(gap.record.id) == nil)
        },
        ConformanceCheck("Runs are numbered in the order of their creation") { scene in
            let results = try await scene.store.commit((0..<5).map { _ in SampleRun().creation })
            let numbers = results.map { result in
                if case .created(let record) = result { record.number } else { Int64(0) }
            }
            #expect(numbers == numbers.sorted() && Set(numbers).count == 5)
        },
    ]
}
