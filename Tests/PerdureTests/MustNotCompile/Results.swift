extension Snippet {
    /// A result where none is recorded, and none where one is.
    static let results = [
        Snippet(
            "an irreversible step without a result",
            #"""
            // expect: 'step(_:id:key:input:_:policy:approval:irreversible:_:)' is unavailable: a step records its input and result: both must be Codable; without a result use 'act', of a secret a reference
            try await context.step("switch", input: KeyID(raw: "a"), .idempotent(retention: .days(1)), irreversible: "the old key stops working") { id, step in
                try await vault.activate(id)
            }
            """#),
        Snippet(
            "a step without a result",
            #"""
            // expect: 'step(_:id:key:input:_:policy:approval:undoing:_:undo:)' is unavailable: a step records its input and result: both must be Codable; without a result use 'act', of a secret a reference
            try await context.step("switch", input: KeyID(raw: "a"), .idempotent(retention: .days(1))) { id, step in
                print(step.attempt)
                try await vault.activate(id)
            } undo: { _, step in
                print(step.attempt)
            }
            """#),
        Snippet(
            "a step without a result whose probe has several statements",
            #"""
            // expect: 'step(_:id:key:input:_:policy:approval:irreversible:_:)' is unavailable: a step records its input and result: both must be Codable; without a result use 'act', of a secret a reference
            try await context.step(
                "switch", input: KeyID(raw: "a"),
                .atMostOnce(inDoubt: .probe { id, _ in
                    let active = try await vault.activeKey(of: "db")
                    return active == id ? .happened(()) : .didNotHappen
                }), irreversible: "the old key stops working"
            ) { id, step in
                print(step.attempt)
                try await vault.activate(id)
            }
            """#),
        Snippet(
            "an act that returns a value",
            #"""
            // expect: 'act(_:id:key:input:_:policy:approval:undoing:_:undo:)' is unavailable: an act records no result; for work with one use 'step'
            try await context.act("issue", input: "db", .idempotent(retention: .days(1))) { service, step in
                let key = try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
                return key
            } undo: { service, step in
                print(service)
            }
            """#),
        Snippet(
            "an act whose value is used",
            #"""
            // expect: 'act(_:id:key:input:_:policy:approval:irreversible:_:)' is unavailable: an act records no result; for work with one use 'step'
            let key: Key = try await context.act("issue", input: "db", .idempotent(retention: .days(1)), irreversible: "keys are for ever") { service, step in
                try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
            }
            print(key.id)
            """#),
        Snippet(
            "a read without a result",
            #"""
            // expect: 'read(_:id:policy:_:)' is unavailable: a read records its input and result: both must be Codable; without a result use 'act', of a secret a reference
            // expect: 'read(_:id:policy:_:)' is unavailable: a read records its input and result: both must be Codable; without a result use 'act', of a secret a reference
            // expect: 'read(_:id:input:policy:_:)' is unavailable: a read records its input and result: both must be Codable; without a result use 'act', of a secret a reference
            try await context.read("switch") { try await vault.activate(KeyID(raw: "a")) }
            try await context.read("switch") { step in
                print(step.attempt)
                try await vault.activate(KeyID(raw: "a"))
            }
            try await context.read("switch", input: KeyID(raw: "a")) { id, _ in try await vault.activate(id) }
            """#),
    ]
}
