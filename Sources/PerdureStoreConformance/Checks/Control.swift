internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Testing

extension StoreConformance {
    /// What control keeps beside runs.
    static let control: [ConformanceCheck] = [
        ConformanceCheck("What control keeps comes back, and stays when the process ends") { scene in
            let key = ControlKey("tokens", "a/ü \u{1F511}"), due = scene.clock.now + .seconds(60)
            let before = try await scene.store.control(key)
            #expect(before == nil)
            let put = ControlChange.put(key, on: nil, value: [0, 1, 255], due: due)
            #expect(try await scene.store.changeControl(put))
            #expect(try await scene.store.changeControl(.put(ControlKey("hooks", key.key), on: nil, value: [])))
            try await scene.restart(as: NodeID(rawValue: "node-2"))
            #expect(try await scene.store.control(key) == ControlRow(key, revision: 1, value: [0, 1, 255], due: due))
            #expect(try await scene.store.control(ControlKey("hooks", key.key))?.value == [])
            #expect(try await scene.store.changeControl(.remove(key, on: 1)))
            #expect(try await scene.store.control(key) == nil)
            #expect(try await scene.store.control(ControlKey("hooks", key.key)) != nil)
        },
        ConformanceCheck("Of several changes of what control keeps that stand on one revision one is made") { scene in
            let store = scene.store, key = ControlKey("tokens", "a")
            let first = ControlChange.put(key, on: nil, value: [1])
            let isMade = try await store.changeControl(first)
            #expect(isMade)
            // Its answer was lost: the same is said again.
            #expect(try await store.changeControl(first))
            #expect(try await store.changeControl(.put(key, on: nil, value: [2])) == false)
            #expect(try await store.changeControl(.put(key, on: 7, value: [2])) == false)
            #expect(try await store.changeControl(.remove(key, on: 7)) == false)
            #expect(try await store.changeControl(.put(key, on: 1, value: [2])))
            #expect(try await store.changeControl(.put(key, on: 1, value: [3])) == false)
            #expect(try await store.control(key) == ControlRow(key, revision: 2, value: [2], due: nil))
            #expect(try await store.changeControl(.remove(key, on: 2)))
            #expect(try await store.changeControl(.remove(key, on: 2)))
            #expect(try await store.changeControl(.put(key, on: 2, value: [3])) == false)
        },
        ConformanceCheck("Whoever asks at the same time, one gets a row of control") { scene in
            let key = ControlKey("requests", "k"), store = scene.store
            let winners = try await withThrowingTaskGroup(of: Bool.self) { group in
                for place in 0..<20 {
                    group.addTask { try await store.changeControl(.put(key, on: nil, value: [UInt8(place)])) }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(winners == 1)
        },
        ConformanceCheck("What control keeps is listed by its keys, and by when it is due") { scene in
            let store = scene.store, start = scene.clock.now
            for (key, seconds) in [("b", 30), ("B", 10), ("ä", 20), ("a", nil), ("c", 20)] as [(String, Int64?)] {
                let change = ControlChange.put(
                    ControlKey("hooks", key), on: nil, value: Array(key.utf8), due: seconds.map { start + .seconds($0) })
                let isMade = try await store.changeControl(change)
                #expect(isMade)
            }
            #expect(try await store.changeControl(.put(ControlKey("other", "a"), on: nil, value: [], due: start)))
            func keys(_ query: ControlQuery) async throws -> [String] { try await store.controls(query).map(\.key.key) }
            #expect(try await keys(.all(kind: "hooks", after: nil, limit: 3)) == ["B", "a", "b"])
            #expect(try await keys(.all(kind: "hooks", after: "b", limit: 3)) == ["c", "ä"])
            #expect(try await keys(.all(kind: "nothing", after: nil, limit: 3)).isEmpty)
            #expect(try await keys(.all(kind: "hooks", after: nil, limit: 0)).isEmpty)
            #expect(try await keys(.due(kind: "hooks", by: start + .seconds(20), limit: 9)) == ["B", "c", "ä"])
            #expect(try await keys(.due(kind: "hooks", by: start + .seconds(29), limit: 2)) == ["B", "c"])
            #expect(try await keys(.due(kind: "hooks", by: start, limit: 9)).isEmpty)

            #expect(try await store.removeControls(kind: "hooks", dueBy: start + .seconds(20), limit: 2) == 2)
            #expect(try await keys(.all(kind: "hooks", after: nil, limit: 9)) == ["a", "b", "ä"])
            #expect(try await store.removeControls(kind: "hooks", dueBy: start + .seconds(60), limit: 9) == 2)
            #expect(try await keys(.all(kind: "hooks", after: nil, limit: 9)) == ["a"])
            #expect(try await keys(.all(kind: "other", after: nil, limit: 9)) == ["a"])
        },
        ConformanceCheck("What control cannot keep is refused") { scene in
            for change in [
                ControlChange.put(ControlKey("a/b", "k"), on: nil, value: []), .put(ControlKey("k", ""), on: nil, value: []),
                .put(ControlKey("k", String(repeating: "x", count: ControlRow.longestKey + 1)), on: nil, value: []),
                .put(ControlKey("k", "a\0b"), on: nil, value: []), .put(ControlKey("k", "k"), on: 0, value: []),
                .put(ControlKey("k", "k"), on: nil, value: Array(repeating: 0, count: ControlRow.mostBytes + 1)),
                .remove(ControlKey("k", "k"), on: -1),
            ] {
                #expect(change.flaw != nil)
                await #expect(throws: StoreError.self) { try await scene.store.changeControl(change) }
            }
            let most = ControlChange.put(
                ControlKey("k", String(repeating: "x", count: ControlRow.longestKey)), on: nil,
                value: Array(repeating: 7, count: ControlRow.mostBytes))
            let isKept = try await scene.store.changeControl(most)
            #expect(isKept)
            #expect(try await scene.store.control(most.key) == most.row)
        },
    ]
}
