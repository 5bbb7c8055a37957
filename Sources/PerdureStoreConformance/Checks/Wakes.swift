internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// Whom unread messages wake.
    static let wakes: [ConformanceCheck] = [
        ConformanceCheck("A resolve wakes every run that is not owned, whoever hosts its workflow") { scene in
            var runs: [SampleRun] = []
            for transition in [
                RunTransition(to: .ready), .init(to: .waiting), .init(to: .parked), .init(to: .parked, needsRetry: true),
                .init(to: .blocked, blockedBuild: "b1"), .init(to: .terminated), .init(to: .paused),
            ] { runs.append(try await scene.resting(transition, workflow: "farewell")) }
            for run in runs { try await scene.deliver(.resolve, to: run, id: "r") }
            #expect(try await scene.claim(hosted: []).map(\.record.number) == runs.map(\.number))
        },
        ConformanceCheck("A run that only a retry wakes sleeps through everything else, and hears it afterwards") { scene in
            var run = try await scene.resting(.init(to: .parked, note: "it traps", needsRetry: true))
            for kind in [InboxKind.signal, .cancel, .decision, .answer, .keySettled] {
                try await scene.deliver(kind, to: run, id: kind.rawValue)
            }
            try await scene.deliver(.retry, to: run, id: "of a step", name: "a")
            #expect(try await scene.claim().isEmpty)
            #expect(try await scene.claim(only: [run.number]).isEmpty)
            try await scene.deliver(.retry, to: run, id: "of the run", name: "")
            // To let it try again takes no code.
            let claimed = try #require(try await scene.claim(hosted: []).first)
            #expect(claimed.previous == .parked && claimed.previousNote == "it traps" && claimed.record.note == nil)
            run.take(over: claimed)
            let retry = try await scene.store.inbox(run: run.number).filter { $0.delivery.name.isEmpty }.map(\.number)
            try await scene.advance(run.advance([EventDraft(.runUnparked)], to: .init(to: .waiting), consuming: retry))
            #expect(try await scene.claim().map(\.record.number) == [run.number])
        },
        ConformanceCheck("What pauses, resumes, repins and resets wakes every open run, whoever hosts its workflow") { scene in
            for kind in [InboxKind.pause, .unpause, .repin, .reset] {
                var runs: [SampleRun] = []
                for transition in [
                    RunTransition(to: .ready), .init(to: .waiting), .init(to: .parked), .init(to: .parked, needsRetry: true),
                    .init(to: .blocked, blockedBuild: "b1"), .init(to: .paused),
                ] { runs.append(try await scene.resting(transition, workflow: "farewell")) }
                let closed = try await scene.resting(.init(to: .terminated), workflow: "farewell")
                for run in runs { try await scene.deliver(kind, to: run, id: kind.rawValue, name: "") }
                let late = Delivery(to: closed.record.id, id: "late", kind: kind, sender: Sample.person)
                #expect(try await scene.refusal(of: .deliver(late)) == .runClosed)
                #expect(try await scene.claim(hosted: []).map(\.record.number) == runs.map(\.number))
            }
        },
        ConformanceCheck("A run that was blocked when it was paused is still blocked for its builds") { scene in
            var run = try await scene.resting(.init(to: .blocked, note: "no", blockedBuild: "b1"))
            for (kind, event, transition) in [
                (InboxKind.pause, EventKind.runPaused, RunTransition(to: .paused, note: "why")),
                (.unpause, .runUnpaused, .init(to: .blocked, note: "no")),
            ] {
                try await scene.deliver(kind, to: run, id: kind.rawValue, name: "")
                run.take(over: try #require(try await scene.claim(hosted: []).first))
                let rows = try await scene.store.inbox(run: run.number).map(\.number)
                try await scene.advance(run.advance([EventDraft(event)], to: transition, consuming: rows))
                #expect(try await scene.record(run).note == transition.note)
                #expect(try await scene.store.audit().isEmpty)
                #expect(try await scene.claim(build: "b1").isEmpty)
            }
            #expect(try await scene.claim(build: "b2").map(\.record.number) == [run.number])
        },
        ConformanceCheck("A run that changes its version is for whoever hosts that one, blocked builds and messages included") {
            scene in
            var run = try await scene.resting(.init(to: .blocked, note: "no", blockedBuild: "b1"))
            try await scene.deliver(to: run, id: "s")
            try await scene.deliver(.repin, to: run, id: "r", name: "")
            run.take(over: try #require(try await scene.claim(hosted: []).first))
            let rows = try await scene.store.inbox(run: run.number).filter { $0.delivery.kind == .repin }.map(\.number)
            try await scene.advance(
                run.advance([EventDraft(.runRepinned)], to: .init(to: .waiting, version: "2"), consuming: rows))
            #expect(try await scene.record(run).version == "2")
            #expect(try await scene.claim().isEmpty)
            let claimed = try await scene.claim(hosted: [.init(workflow: "greeting", version: "2")])
            #expect(claimed.map(\.record.number) == [run.number] && claimed.first?.record.version == "2")
        },
        ConformanceCheck("A terminate wakes a run that waits for a retry") { scene in
            let run = try await scene.resting(.init(to: .parked, needsRetry: true))
            try await scene.deliver(.terminate, to: run, id: "t", name: "")
            #expect(try await scene.claim(hosted: []).map(\.record.number) == [run.number])
        },
        ConformanceCheck("A blocked run that was only looked after stays blocked for its builds") { scene in
            var run = try await scene.resting(.init(to: .blocked, note: "no", blockedBuild: "b1"))
            try await scene.deliver(.cancel, to: run, id: "c", name: "")
            #expect(try await scene.claim().isEmpty)
            try await scene.deliver(.resolve, to: run, id: "r")
            let claimed = try #require(try await scene.claim().first)
            #expect(claimed.previous == .blocked && claimed.previousNote == "no")
            run.take(over: claimed)
            let rows = try await scene.store.inbox(run: run.number).filter { $0.delivery.kind == .resolve }.map(\.number)
            let back = RunTransition(to: .blocked, note: claimed.previousNote)
            try await scene.advance(run.advance([EventDraft(.stepResolved)], to: back, consuming: rows))
            #expect(try await scene.record(run).note == "no")
            #expect(try await scene.claim(build: "b1").isEmpty)
            run.take(over: try #require(try await scene.claim(build: "b2").first))
            try await scene.advance(run.advance([EventDraft(.runUnblocked)], to: .init(to: .waiting)))
            // The cancel has waited all the time.
            #expect(try await scene.claim(build: "b1").map(\.record.number) == [run.number])
        },
        ConformanceCheck("A retry of a blocked run gives it to a build that it is blocked for, and every build may try again") {
            scene in
            var run = try await scene.resting(.init(to: .blocked, note: "too large", blockedBuild: "b1"))
            try await scene.deliver(.retry, to: run, id: "of a step", name: "a")
            #expect(try await scene.claim().isEmpty)
            try await scene.deliver(.retry, to: run, id: "of the run", name: "")
            #expect(try await scene.claim(hosted: []).isEmpty)
            let claimed = try #require(try await scene.claim(build: "b1", only: [run.number]).first)
            #expect(claimed.previous == .blocked && claimed.previousNote == "too large")
            run.take(over: claimed)
            let rows = try await scene.store.inbox(run: run.number).filter { $0.delivery.name.isEmpty }.map(\.number)
            try await scene.advance(run.advance([EventDraft(.runUnblocked)], to: .init(to: .ready), consuming: rows))
            #expect(try await scene.claim(build: "b1").map(\.record.number) == [run.number])
        },
        ConformanceCheck("A claim says when a run would have woken by itself") { scene in
            let wakeAt = scene.clock.now + .seconds(60)
            let run = try await scene.waiting(until: wakeAt)
            try await scene.deliver(.resolve, to: run, id: "r")
            let claimed = try #require(try await scene.claim(hosted: []).first)
            #expect(claimed.previous == .waiting && claimed.previousWakeAt == wakeAt && claimed.record.wakeAt == nil)
        },
        ConformanceCheck("A run can stay blocked only if it was") { scene in
            var run = try await scene.owned()
            guard case .invalid = try await scene.refusal(of: .advance(run.advance([], to: .init(to: .blocked)))) else {
                throw Unexpected("a blocked run without a build", "no refusal")
            }
        },
        ConformanceCheck("A resolve of a run that a living node owns is for that node alone") { scene in
            var run = try await scene.owned("farewell")
            try await scene.deliver(.resolve, to: run, id: "r")
            #expect(try await scene.claim(hosted: []).isEmpty)
            #expect(try await scene.claim(hosted: [], only: [run.number]).isEmpty)
            let rows = try await scene.store.inbox(run: run.number).map(\.number)
            try await scene.advance(run.advance([EventDraft(.stepResolved)], consuming: rows))
            let heir = NodeID(rawValue: "node-2")
            try await scene.restart(as: heir)
            #expect(try await scene.claim(hosted: [], as: heir).isEmpty)
        },
        ConformanceCheck("A resolve outlives the owner of a run that nobody hosts") { scene in
            let run = try await scene.owned("farewell")
            try await scene.deliver(.resolve, to: run, id: "r")
            let heir = NodeID(rawValue: "node-2")
            try await scene.restart(as: heir)
            let claimed = try #require(try await scene.claim(hosted: [], as: heir).first)
            #expect(claimed.record.number == run.number && claimed.isTakeover)
        },
        ConformanceCheck("Thousands of messages that wake nobody stand in nobody's way") { scene in
            let deaf = [
                try await scene.resting(.init(to: .blocked, blockedBuild: "b1")), try await scene.resting(.init(to: .paused)),
                try await scene.resting(.init(to: .parked, needsRetry: true)), try await scene.waiting(workflow: "farewell"),
            ]
            var items: [CommitItem] = []
            for number in 0..<500 {
                for run in deaf {
                    items.append(
                        .deliver(Delivery(to: run.record.id, id: "\(number)", kind: .signal, name: "go", sender: Sample.person)))
                }
            }
            _ = try await scene.store.commit(items)
            let told = try await scene.waiting(), owned = try await scene.owned()
            try await scene.deliver(to: told, id: "last")
            try await scene.deliver(to: owned, id: "mine")
            #expect(try await scene.claim(1).map(\.record.number) == [told.number])
            #expect(try await scene.claim().isEmpty)
            let mine = try await scene.store.inbox(ownedBy: scene.node, after: 0, limit: 10).rows
            #expect(mine.map(\.delivery.id) == ["last", "mine"])
            #expect(try await scene.store.inbox(ownedBy: scene.node, after: mine[0].number, limit: 10).rows == [mine[1]])
            // None of them is lost.
            #expect(try await scene.claim(build: "b2").map(\.record.number) == [deaf[0].number])
            #expect(try await scene.store.inbox(run: deaf[0].number).count == 500)
            #expect(
                try await scene.claim(hosted: [.init(workflow: "farewell", version: "1")]).map(\.record.number) == [
                    deaf[3].number
                ])
        },
    ]
}
