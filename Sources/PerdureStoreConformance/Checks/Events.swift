internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    static let events: [ConformanceCheck] = [
        ConformanceCheck("Every column of an event reads back exactly, whatever it holds") { scene in
            var run = try await scene.owned()
            let drafts = [
                EventDraft(.stepSucceeded, subject: "grüße/日本語#1", attributes: ["who": "Zoë 👩‍🚀", "n": -1]),
                EventDraft(.stepSucceeded, subject: "e\u{301}", attributes: ["e\u{301}": "decomposed stays decomposed"]),
                EventDraft(.stepSucceeded, subject: "\u{e9}"),
                EventDraft(.statusReported, input: .inline([]), output: nil),
                EventDraft(.statusReported, input: nil, output: .inline([])),
                EventDraft(
                    .stepFailed, subject: "quote ' \" ; --", input: .inline(Array("null".utf8)), output: .inline([0, 1, 0xFF])),
                EventDraft(.stepSucceeded, input: .inline(Array(0...255)), output: .inline([0xC3, 0x28])),
                EventDraft(.stepSucceeded, output: .inline([UInt8](repeating: 120, count: 1_000_000))),
                EventDraft(.timerStarted, attributes: ["due": .integer(.max)]),
            ]
            try await scene.advance(run.advance(drafts, at: Timestamp(microseconds: 1_770_000_000_123_457)))
            #expect(try await scene.history(run) == run.events)
        },
        ConformanceCheck("What is read of several runs at once is what would be read of each") { scene in
            var first = try await scene.owned(), second = try await scene.owned()
            try await scene.advance(first.advance([EventDraft(.versionPatched, subject: "a"), EventDraft(.statusReported)]))
            try await scene.advance(second.advance([EventDraft(.statusReported)]))
            try await scene.deliver(to: second, id: "d1")
            let runs = [first.number, second.number]
            let together = try await scene.store.beginnings(of: runs, limit: 2)
            let inboxes = try await scene.store.inboxes(of: runs)
            for run in runs {
                let inbox = try await scene.store.inbox(run: run, after: 0)
                #expect(inboxes[run] == inbox)
                // A store may leave one out.
                guard let one = together[run] else { continue }
                #expect(one.events == (try await scene.store.events(of: run, after: 0, limit: 2)))
                #expect(one.inbox == inbox)
                #expect(one.patches == (try await scene.store.marked(.versionPatched, nil, in: run)))
            }
        },
        ConformanceCheck("Of runs that are too large to be read at once some are left out, and none is cut") { scene in
            var runs: [SampleRun] = []
            for index in 0..<6 {
                var run = try await scene.owned()
                let value = StoredValue.inline([UInt8](repeating: 49, count: 3 << 20))
                if index % 2 == 0 { try await scene.advance(run.advance([EventDraft(.stepSucceeded, output: value)])) }
                let payload = index % 3 == 0 ? [UInt8](repeating: 49, count: InboxPage.size / 2 + 1) : nil
                for id in ["1", "2"] { try await scene.deliver(to: run, id: id, payload: payload) }
                runs.append(run)
            }
            for numbers in [runs.map(\.number), runs.map(\.number).reversed()] {
                var left = numbers
                while let first = left.first {
                    let inboxes = try await scene.store.inboxes(of: left)
                    try #require(inboxes[first] != nil, "who asks again for the rest comes to an end")
                    for (run, page) in inboxes { #expect(try await scene.store.inbox(run: run, after: 0) == page) }
                    left.removeAll { inboxes[$0] != nil }
                }
            }
            for (run, one) in try await scene.store.beginnings(of: runs.map(\.number), limit: 10) {
                #expect(one.events == (try await scene.store.events(of: run, after: 0, limit: 10)))
                #expect(one.inbox == (try await scene.store.inbox(run: run, after: 0)))
            }
        },
        ConformanceCheck("Values of every size read back, and the largest is bound to its chain") { scene in
            var run = try await scene.owned(), other = try await scene.owned()
            let sizes = [65_535, 65_536, 65_537, 200_000, 1_000_000]
            let values =
                sizes.map { StoredValue.inline([UInt8](repeating: 120, count: $0)) }
                + [
                    .inline([UInt8](repeating: 0, count: 70_000)),
                    .inline([0xC3, 0x28] + [UInt8](repeating: 0xFF, count: 70_000)),
                ]
            let drafts = values.map { EventDraft(.stepSucceeded, input: $0, output: $0) }
            try await scene.advance(run.advance(drafts))
            // Again in the same run, and in another one.
            try await scene.advance(run.advance(drafts))
            try await scene.advance(other.advance(drafts))
            for run in [run, other] {
                let events = try await scene.history(run)
                #expect(events == run.events)
                let start = ChainHead.start(namespace: run.record.namespace, run: run.record.id.description)
                #expect(throws: Never.self) { try EventChain.verify(events, run: run.record.id.description, from: start) }
            }
        },
        ConformanceCheck("A large value without its bytes is refused, and nothing else of the commit is") { scene in
            var run = try await scene.owned(), other = try await scene.owned()
            let missing = StoredValue.spilled(digest: [UInt8](repeating: 7, count: 32), size: 70_000)
            let results = try await scene.store.commit([
                .advance(run.advance([EventDraft(.stepSucceeded, output: missing)])),
                .advance(other.advance([EventDraft(.stepSucceeded)])),
            ])
            guard case .refused(.invalid)? = results.first, case .advanced? = results.last else {
                throw Unexpected("a value without its bytes", results)
            }
        },
        ConformanceCheck("Every kind of event reads back") { scene in
            var run = try await scene.owned()
            let drafts = EventKind.allCases.filter { !$0.isFinal }.map { EventDraft($0, subject: $0.rawValue) }
            try await scene.advance(run.advance(drafts))
            #expect(try await scene.history(run) == run.events)
        },
        ConformanceCheck("What is read back verifies as a chain from the start") { scene in
            var run = try await scene.owned()
            for number in 0..<20 { try await scene.advance(run.advance([EventDraft(.stepSucceeded, subject: "s\(number)")])) }
            let start = ChainHead.start(namespace: run.record.namespace, run: run.record.id.description)
            let head = try EventChain.verify(try await scene.history(run), run: run.record.id.description, from: start)
            #expect(head == run.head)
        },
        ConformanceCheck("A history is read in pages of any size, in order") { scene in
            var run = try await scene.owned()
            try await scene.advance(run.advance((1...24).map { EventDraft(.stepSucceeded, subject: "s\($0)") }))
            for size in [1, 7, 25, 100] {
                var read: [Event] = []
                while true {
                    let page = try await scene.store.events(of: run.number, after: read.last?.seq ?? 0, limit: size)
                    #expect(page.count <= size)
                    if page.isEmpty { break }
                    read += page
                }
                #expect(read == run.events)
            }
            #expect(try await scene.store.events(of: run.number, after: 25, limit: 10).isEmpty)
            #expect(try await scene.store.events(of: 999, after: 0, limit: 10).isEmpty)
        },
        ConformanceCheck("A history is read backwards in pages too, the newest event first") { scene in
            var run = try await scene.owned()
            try await scene.advance(run.advance((0..<24).map { EventDraft(.stepSucceeded, subject: "s\($0)") }))
            var read: [Event] = []
            while true {
                let page = try await scene.store.events(of: run.number, before: read.last?.seq ?? .max, limit: 7)
                #expect(page.count <= 7)
                if page.isEmpty { break }
                read += page
            }
            #expect(read == run.events.reversed())
            #expect(try await scene.store.events(of: run.number, before: 1, limit: 10).isEmpty)
        },
        ConformanceCheck("A page of large values ends early, and is never empty before the end") { scene in
            var run = try await scene.owned()
            let value = StoredValue.inline([UInt8](repeating: 120, count: 3 << 20))
            for _ in 0..<6 { try await scene.advance(run.advance([EventDraft(.stepSucceeded, output: value)])) }
            var pages: [[Event]] = []
            while true {
                let page = try await scene.store.events(of: run.number, after: pages.last?.last?.seq ?? 0, limit: 100)
                if page.isEmpty { break }
                pages.append(page)
            }
            #expect(Array(pages.joined()) == run.events)
            #expect(pages.count > 1)
        },
        ConformanceCheck("Histories of runs that are written in turns do not mix") { scene in
            var first = try await scene.owned(), second = try await scene.owned()
            for number in 0..<5 {
                _ = try await scene.store.commit([
                    .advance(first.advance([EventDraft(.stepSucceeded, subject: "a\(number)")])),
                    .advance(second.advance([EventDraft(.stepSucceeded, subject: "b\(number)")])),
                ])
            }
            #expect(try await scene.history(first) == first.events)
            #expect(try await scene.history(second) == second.events)
        },
        ConformanceCheck("Everything is there again for the next process") { scene in
            var run = try await scene.owned(key: "k")
            try await scene.advance(
                run.advance([EventDraft(.stepSucceeded, subject: "a")], to: .init(to: .waiting, wakeAt: scene.clock.now)))
            let identity = scene.store.identity
            let before = try await scene.record(run)
            try await scene.restart(as: NodeID(rawValue: "node-2"))
            #expect(try await scene.history(run) == run.events)
            #expect(try await scene.record(run) == before)
            #expect(scene.store.identity == identity)
        },
    ]
}
