internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// Signs of life, which stand beside the history until their step is settled.
    static let heartbeats: [ConformanceCheck] = [
        ConformanceCheck("The latest heartbeat of a step or undo is kept, and one without details leaves the details") { scene in
            let run = try await scene.owned(), other = try await scene.owned()
            try await scene.beat(run, "a", "1")
            try await scene.beat(run, "a", "2")
            try await scene.beat(run, "a", "3", isUndo: true)
            try await scene.beat(run, "b", nil)
            try await scene.beat(other, "a", "4")
            scene.clock.advance(by: .seconds(5))
            try await scene.beat(run, "a", nil)
            let kept = try await scene.store.heartbeats(of: run.number, nil)
            #expect(kept.map(\.subject) == ["a", "a", "b"] && kept.map(\.isUndo) == [false, true, false])
            #expect(kept.map { $0.details.map { String(decoding: $0, as: UTF8.self) } } == ["2", "3", nil])
            #expect(kept.map(\.at) == [scene.clock.now, Sample.start, Sample.start])
            #expect(try await scene.store.heartbeats(of: run.number, "b") == kept.suffix(1))
        },
        ConformanceCheck("Only the owner of a run gives signs of life for it") { scene in
            var run = try await scene.owned()
            #expect(
                try await scene.refusal(of: .beat(Heartbeat(run: 4_711, epoch: 1, subject: "a", details: nil))) == .runUnknown)
            var stale = run
            stale.record.epoch += 1
            #expect(try await scene.refusal(of: .beat(scene.heartbeat(stale, "a"))) == .conflict)
            try await scene.advance(run.advance([EventDraft(.timerStarted, subject: "t")], to: .init(to: .waiting)))
            #expect(try await scene.refusal(of: .beat(scene.heartbeat(run, "a"))) == .conflict)
            #expect(try await scene.store.heartbeats(of: run.number, nil).isEmpty)
        },
        ConformanceCheck("A heartbeat outlives the process that gave it, and failed attempts") { scene in
            var run = try await scene.owned()
            try await scene.beat(run, "a", "1")
            try await scene.advance(run.advance([EventDraft(.stepAttemptFailed, subject: "a")]))
            try await scene.restart(as: NodeID(rawValue: "node-2"))
            let claimed = try #require(try await scene.claim(as: NodeID(rawValue: "node-2")).first)
            #expect(claimed.isTakeover)
            #expect(try await scene.store.heartbeats(of: run.number, "a").map(\.details) == [Array("1".utf8)])
            #expect(try await scene.refusal(of: .beat(scene.heartbeat(run, "a"))) == .conflict)
        },
        ConformanceCheck("A step that is settled leaves no heartbeat, an undo neither") { scene in
            let ends: [(EventKind, isUndo: Bool)] = [
                (.stepSucceeded, false), (.stepFailed, false), (.stepCancelled, false), (.stepResolved, false),
                (.undoSucceeded, true), (.undoResolved, true),
            ]
            var run = try await scene.owned()
            for (kind, isUndo) in ends {
                try await scene.beat(run, "a", "1", isUndo: isUndo)
                try await scene.beat(run, "a", "2", isUndo: !isUndo)
                try await scene.beat(run, "b", "3")
                try await scene.advance(run.advance([EventDraft(kind, subject: "a")]))
                let left = try await scene.store.heartbeats(of: run.number, nil)
                #expect(left.map(\.subject) == ["a", "b"] && left.first?.isUndo == !isUndo, "\(kind)")
            }
        },
        ConformanceCheck("A run that is closed has no heartbeats") { scene in
            for state in RunState.allCases where state.isFinal {
                var run = try await scene.owned()
                try await scene.beat(run, "a", "1")
                try await scene.advance(run.advance(Scene.closing(state), to: .init(to: state)))
                #expect(try await scene.store.heartbeats(of: run.number, nil).isEmpty, "\(state)")
                let refusal = try await scene.refusal(of: .beat(scene.heartbeat(run, "a")))
                #expect(refusal == .conflict, "\(state)")
            }
        },
    ]
}

extension Scene {
    func heartbeat(
        _ run: SampleRun, _ subject: String, _ details: String? = nil, isUndo: Bool = false
    ) -> Heartbeat {
        Heartbeat(
            run: run.number, epoch: run.record.epoch, subject: subject, isUndo: isUndo, details: details.map { Array($0.utf8) })
    }

    func beat(_ run: SampleRun, _ subject: String, _ details: String?, isUndo: Bool = false) async throws {
        let result = try await commit(.beat(heartbeat(run, subject, details, isUndo: isUndo)))
        guard case .advanced = result else { throw Unexpected("a heartbeat", result) }
    }
}
