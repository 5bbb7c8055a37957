internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// Runs that come into being with an event of another one.
    static let children: [ConformanceCheck] = [
        ConformanceCheck("A child is made with the event that starts it, and is claimed like any other run") { scene in
            var parent = try await scene.owned()
            let child = SampleRun(parent: parent)
            try await scene.advance(parent.advance([started], to: .init(to: .waiting), children: [child]))
            let record = try await scene.record(child)
            #expect(record.state == .ready && record.owner == nil && record.createdAt == child.record.createdAt)
            #expect(try await scene.store.events(of: record.number, after: 0, limit: 10) == child.events)
            #expect(try await scene.claim().map(\.record.id) == [child.record.id])
        },
        ConformanceCheck("A refused advance makes no child") { scene in
            var parent = try await scene.owned()
            let child = SampleRun(parent: parent)
            try await scene.deliver(to: parent, id: "d")
            var stale = parent
            stale.record.epoch += 1
            #expect(try await scene.refusal(of: .advance(stale.advance([started], children: [child]))) == .conflict)
            let final = parent.advance([EventDraft(.runCompleted)], to: .init(to: .completed), children: [child])
            guard case .unreadInbox = try await scene.refusal(of: .advance(final)) else {
                Issue.record("not refused because of what is unread")
                return
            }
            #expect(try await scene.store.run(child.record.id) == nil)
        },
        ConformanceCheck("Repeating an advance makes its children once") { scene in
            var parent = try await scene.owned()
            let child = SampleRun(parent: parent)
            let advance = parent.advance([started], children: [child])
            try await scene.advance(advance)
            try await scene.advance(advance)
            let record = try await scene.record(child)
            #expect(try await scene.store.events(of: record.number, after: 0, limit: 10) == child.events)
        },
        ConformanceCheck("A child that exists already is left as it is, if it is the same child") { scene in
            var parent = try await scene.owned()
            let child = SampleRun(parent: parent)
            _ = try await scene.create(child)
            // Made anew for another try: later, and so with another hash.
            let again = SampleRun(at: Sample.start + .seconds(5), id: child.record.id, parent: parent)
            try await scene.advance(parent.advance([started], children: [again]))
            let record = try await scene.record(child)
            #expect(try await scene.store.events(of: record.number, after: 0, limit: 10) == child.events)
        },
        ConformanceCheck("A child is refused, and its parent's events with it, if its id belongs to another run") { scene in
            let parent = try await scene.owned(), stranger = try await scene.owned(), other = try await scene.owned()
            let sameParent = try await scene.create(SampleRun(parent: parent))
            let children = [
                SampleRun(id: stranger.record.id, parent: parent), SampleRun(id: sameParent.record.id, parent: other),
                SampleRun(id: sameParent.record.id, parent: parent, input: "7"),
                SampleRun(workflow: "parting", id: sameParent.record.id, parent: parent),
            ]
            for child in children {
                var attempt = parent
                guard case .invalid = try await scene.refusal(of: .advance(attempt.advance([started], children: [child]))) else {
                    Issue.record("not refused as invalid")
                    return
                }
            }
            #expect(try await scene.history(parent) == parent.events)
        },
        ConformanceCheck("A child begins open, without an owner and without a key") { scene in
            let parent = try await scene.owned()
            for child in [SampleRun(key: "k", parent: parent), SampleRun(owner: scene.node, parent: parent)] {
                var attempt = parent
                guard case .invalid = try await scene.refusal(of: .advance(attempt.advance([started], children: [child]))) else {
                    Issue.record("not refused as invalid")
                    return
                }
            }
            #expect(try await scene.history(parent) == parent.events)
        },
        ConformanceCheck("A child that the store cannot hold takes its parent's advance down, and nobody else's") { scene in
            var parent = try await scene.owned(), other = try await scene.owned()
            let child = SampleRun(workflow: "nul\0", parent: parent)
            let results = try await scene.store.commit([
                .advance(parent.advance([started], children: [child])), .advance(other.advance([EventDraft(.statusReported)])),
            ])
            #expect(results.map(isAdvanced) == [false, true])
            #expect(try await scene.store.run(child.record.id) == nil)
            #expect(try await scene.store.events(of: parent.number, after: 0, limit: 10).count == 1)
        },
        ConformanceCheck("A child's end wakes its parent with the commit that closes the child") { scene in
            let parent = try await scene.waiting()
            var child = try await scene.create(SampleRun(owner: scene.node, parent: parent))
            let end = Delivery(
                to: parent.record.id, id: "end", kind: .childResult, name: "child", payload: [1], sender: Sample.person)
            try await scene.advance(
                child.advance([EventDraft(.runCompleted)], to: .init(to: .completed), deliveries: [end]))
            #expect(try await scene.claim().map(\.record.id) == [parent.record.id])
            #expect(try await scene.store.inbox(run: parent.number).map(\.delivery) == [end])
        },
        ConformanceCheck(
            "A message that a parent sends with its last event reaches the child, and needs no code where it asks for none"
        ) { scene in
            var parent = try await scene.owned()
            let child = try await scene.create(SampleRun(parent: parent))
            let message = Delivery(to: child.record.id, id: "t", kind: .terminate, sender: Sample.person)
            try await scene.advance(
                parent.advance([EventDraft(.runTerminated)], to: .init(to: .terminated), deliveries: [message]))
            // Nobody has to host it for that.
            #expect(try await scene.claim(hosted: []).map(\.record.id) == [child.record.id])
        },
    ]

    private static let started = EventDraft(.childStarted, subject: "child")
}
