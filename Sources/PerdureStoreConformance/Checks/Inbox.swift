internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    static let inbox: [ConformanceCheck] = [
        ConformanceCheck("Deliveries read back as they were given, in their order, with the store's own time") { scene in
            let run = try await scene.owned()
            var given: [Delivery] = []
            for (index, kind) in InboxKind.allCases.enumerated() {
                let payload: [UInt8]? = [nil, [], Array(#"{"a":1}"#.utf8), [0, 0xFF]][index % 4]
                given.append(
                    Delivery(
                        to: run.record.id, id: "d\(index)", kind: kind, name: "näme \(index)", payload: payload,
                        sender: Principal(.agent, "böt \"x\"", authentication: "token")))
            }
            scene.clock.advance(by: .seconds(3))
            for result in try await scene.store.commit(given.map(CommitItem.deliver)) {
                guard case .delivered(isDuplicate: false) = result else { throw Unexpected("a delivery", result) }
            }
            let rows = try await scene.store.inbox(run: run.number)
            #expect(rows.map(\.delivery) == given)
            #expect(rows.allSatisfy { $0.at == scene.clock.now && $0.run == run.number })
            #expect(rows.map(\.number) == rows.map(\.number).sorted())
        },
        ConformanceCheck("A delivery id is taken in once, also after it was read") { scene in
            var run = try await scene.owned()
            #expect(try await scene.deliver(to: run, id: "d") == false)
            #expect(try await scene.deliver(to: run, id: "d") == true)
            let rows = try await scene.store.inbox(run: run.number)
            #expect(rows.count == 1 && rows.first?.delivery.payload == nil)
            try await scene.advance(run.advance([EventDraft(.signalReceived)], consuming: rows.map(\.number)))
            #expect(try await scene.deliver(to: run, id: "d") == true)
            #expect(try await scene.store.inbox(run: run.number).isEmpty)
        },
        ConformanceCheck("A delivery id with another payload is refused, unread, read and after the end; the same one is known") {
            scene in
            var run = try await scene.owned()
            let other = try await scene.owned()
            /// Whether it was known; nil if its id is another one's.
            func deliver(_ id: String, _ payload: [UInt8]?) async throws -> Bool? {
                let delivery = Delivery(to: run.record.id, id: id, kind: .signal, payload: payload, sender: Sample.person)
                switch try await scene.commit(.deliver(delivery)) {
                case .delivered(let isDuplicate): return isDuplicate
                case .refused(.deliveryIDTaken): return nil
                case let other: throw Unexpected("a delivery", other)
                }
            }
            func check() async throws {
                #expect(try await deliver("d", [1]) == true)
                #expect(try await deliver("d", [2]) == nil)
                #expect(try await deliver("d", nil) == nil)
                #expect(try await deliver("e", nil) == true)
                #expect(try await deliver("e", [2]) == nil)
                #expect(
                    try await scene.store.knownDelivery("d", of: run.number) == KnownDelivery(payload: [1], salt: run.record.salt)
                )
                #expect(
                    try await scene.store.knownDelivery("e", of: run.number) == KnownDelivery(payload: nil, salt: run.record.salt)
                )
                #expect(try await scene.store.knownDelivery("D", of: run.number) == nil)
                #expect(try await scene.store.knownDelivery("d", of: other.number) == nil)
            }
            #expect(try await deliver("d", [1]) == false)
            #expect(try await deliver("e", nil) == false)
            try await check()
            let rows = try await scene.store.inbox(run: run.number)
            #expect(rows.map(\.delivery.payload) == [[1], nil])
            try await scene.advance(run.advance([EventDraft(.signalReceived)], consuming: rows.map(\.number)))
            try await check()
            try await scene.advance(run.advance([EventDraft(.runCompleted)], to: .init(to: .completed)))
            try await check()
            #expect(try await scene.store.audit() == [])
        },
        ConformanceCheck("The same delivery id may be used for another run") { scene in
            let first = try await scene.owned(), second = try await scene.owned()
            #expect(try await scene.deliver(to: first, id: "d") == false)
            #expect(try await scene.deliver(to: second, id: "d") == false)
        },
        ConformanceCheck("What was consumed is read no more, and what came later stays") { scene in
            var run = try await scene.owned()
            try await scene.deliver(to: run, id: "d1")
            let rows = try await scene.store.inbox(run: run.number)
            try await scene.deliver(to: run, id: "d2")
            try await scene.advance(run.advance([EventDraft(.signalReceived)], consuming: rows.map(\.number)))
            #expect(try await scene.store.inbox(run: run.number).map(\.delivery.id) == ["d2"])
        },
        ConformanceCheck("A row is consumed once, and only by its own run") { scene in
            var run = try await scene.owned(), other = try await scene.owned()
            try await scene.deliver(to: run, id: "d")
            let numbers = try await scene.store.inbox(run: run.number).map(\.number)
            for item in [other.advance([EventDraft(.signalReceived)], consuming: numbers)] {
                guard case .invalid = try await scene.refusal(of: .advance(item)) else {
                    Issue.record("another run consumed the row")
                    return
                }
            }
            try await scene.advance(run.advance([EventDraft(.signalReceived)], consuming: numbers))
            guard
                case .invalid = try await scene.refusal(
                    of: .advance(run.advance([EventDraft(.signalReceived)], consuming: numbers)))
            else {
                Issue.record("the row was consumed twice")
                return
            }
        },
        ConformanceCheck("A run with unread rows does not close; the answer names them") { scene in
            var run = try await scene.owned()
            try await scene.deliver(to: run, id: "d1")
            try await scene.deliver(to: run, id: "d2")
            let rows = try await scene.store.inbox(run: run.number)
            var attempt = run
            let early = attempt.advance([EventDraft(.runCompleted)], to: .init(to: .completed), consuming: [rows[0].number])
            #expect(try await scene.refusal(of: .advance(early)) == .unreadInbox(InboxPage(rows: [rows[1]], hasMore: false)))
            #expect(try await scene.history(run) == run.events)
            #expect(try await scene.store.inbox(run: run.number) == rows)
            let drafts = [EventDraft(.signalReceived), EventDraft(.signalUndelivered), EventDraft(.runCompleted)]
            try await scene.advance(run.advance(drafts, to: .init(to: .completed), consuming: rows.map(\.number)))
        },
        ConformanceCheck("A closed run is told from an unknown one, and knows what it had taken in") { scene in
            var run = try await scene.owned()
            try await scene.deliver(to: run, id: "d")
            let numbers = try await scene.store.inbox(run: run.number).map(\.number)
            try await scene.advance(
                run.advance(
                    [EventDraft(.signalReceived), EventDraft(.runCompleted)], to: .init(to: .completed), consuming: numbers))
            #expect(try await scene.deliver(to: run, id: "d") == true)
            let late = Delivery(to: run.record.id, id: "late", kind: .signal, sender: Sample.person)
            #expect(try await scene.refusal(of: .deliver(late)) == .runClosed)
            let lost = Delivery(to: Sample.runID(), id: "d", kind: .signal, sender: Sample.person)
            #expect(try await scene.refusal(of: .deliver(lost)) == .runUnknown)
        },
        ConformanceCheck("A node reads the unread rows of the runs it owns, from a number on") { scene in
            let first = try await scene.owned(), second = try await scene.owned(), asleep = try await scene.waiting()
            try await scene.deliver(to: first, id: "1")
            try await scene.deliver(to: asleep, id: "2")
            try await scene.deliver(to: second, id: "3")
            try await scene.deliver(to: first, id: "4")
            let rows = try await scene.store.inbox(ownedBy: scene.node, after: 0, limit: 10).rows
            #expect(rows.map(\.delivery.id) == ["1", "3", "4"])
            #expect(
                try await scene.store.inbox(ownedBy: scene.node, after: rows[0].number, limit: 1).rows.map(\.delivery.id) == ["3"]
            )
            #expect(try await scene.store.inbox(ownedBy: NodeID(rawValue: "x"), after: 0, limit: 10).rows.isEmpty)
        },
        ConformanceCheck("A message to another run is written with the events that send it, or not at all") { scene in
            var sender = try await scene.owned()
            let receiver = try await scene.waiting()
            let message = Delivery(to: receiver.record.id, id: "m", kind: .signal, name: "hi", sender: Sample.person)
            var stale = sender
            stale.record.epoch += 1
            #expect(
                try await scene.refusal(of: .advance(stale.advance([EventDraft(.statusReported)], deliveries: [message])))
                    == .conflict)
            #expect(try await scene.store.inbox(run: receiver.number).isEmpty)
            try await scene.advance(sender.advance([EventDraft(.statusReported)], deliveries: [message]))
            #expect(try await scene.store.inbox(run: receiver.number).map(\.delivery) == [message])
        },
        ConformanceCheck("A message to a closed or unknown run does not hold its sender up") { scene in
            var sender = try await scene.owned()
            let closed = try await scene.resting(.init(to: .completed))
            let messages = [closed.record.id, Sample.runID()].map {
                Delivery(to: $0, id: "m", kind: .signal, sender: Sample.person)
            }
            try await scene.advance(sender.advance([EventDraft(.statusReported)], deliveries: messages))
            #expect(try await scene.store.inbox(run: closed.number).isEmpty)
        },
        ConformanceCheck("A delivery between reading and releasing still wakes the run") { scene in
            var run = try await scene.owned()
            try await scene.deliver(to: run, id: "d")
            try await scene.advance(run.advance([], to: .init(to: .waiting)))
            #expect(try await scene.claim().map(\.record.number) == [run.number])
        },
        ConformanceCheck("An inbox is read a page at a time, whose rows and bytes are bounded") { scene in
            let run = try await scene.owned()
            let many = InboxPage.limit + 5
            let items = (0..<many).map { Delivery(to: run.record.id, id: "d\($0)", kind: .signal, sender: Sample.person) }
            _ = try await scene.store.commit(items.map { .deliver($0) })
            try await scene.deliver(.terminate, to: run, id: "end")
            let first = try await scene.store.inbox(run: run.number, after: 0)
            #expect(first.rows.count == InboxPage.limit && first.hasMore)
            let rest = try await scene.store.inbox(run: run.number, after: first.rows.last?.number ?? 0)
            #expect(rest.rows.map(\.delivery.id) == (0..<5).map { "d\(InboxPage.limit + $0)" } + ["end"] && !rest.hasMore)
            #expect(try await scene.store.interventions(run: run.number).map(\.delivery.id) == ["end"])
            #expect(try await scene.store.inbox(run: run.number) == first.rows + rest.rows)
            let owned = try await scene.store.inbox(ownedBy: scene.node, after: 0, limit: InboxPage.limit)
            #expect(owned == first)
            var attempt = run
            let end = attempt.advance(
                [EventDraft(.runCompleted)], to: .init(to: .completed), consuming: first.rows.dropFirst().map(\.number))
            guard case .unreadInbox(let unread) = try await scene.refusal(of: .advance(end)) else {
                throw Unexpected("a run with unread rows", "another refusal")
            }
            #expect(unread == InboxPage(rows: [first.rows[0]] + rest.rows, hasMore: false))
            // Beside so many messages that nobody takes in that a store may look from the runs.
            let asleep = try await scene.resting(.init(to: .paused))
            let others = (0..<many).map { Delivery(to: asleep.record.id, id: "o\($0)", kind: .signal, sender: Sample.person) }
            _ = try await scene.store.commit(others.map { .deliver($0) })
            #expect(try await scene.store.inbox(ownedBy: scene.node, after: 0, limit: InboxPage.limit) == first)
            let large = try await scene.owned(), payload = [UInt8](repeating: 49, count: InboxPage.size / 2)
            for id in ["1", "2", "3"] { try await scene.deliver(to: large, id: id, payload: payload) }
            let page = try await scene.store.inbox(run: large.number, after: 0)
            #expect(page.rows.map(\.delivery.id) == ["1", "2"] && page.hasMore)
        },
        ConformanceCheck("Text with a NUL is refused in a delivery, a payload with one is kept") { scene in
            let run = try await scene.owned()
            let bad = Delivery(to: run.record.id, id: "d\0", kind: .signal, sender: Sample.person)
            guard case .invalid = try await scene.refusal(of: .deliver(bad)) else {
                Issue.record("not refused as invalid")
                return
            }
            try await scene.deliver(to: run, id: "d", payload: [34, 0, 34])
            #expect(try await scene.store.inbox(run: run.number).map(\.delivery.payload) == [[34, 0, 34]])
        },
    ]
}
