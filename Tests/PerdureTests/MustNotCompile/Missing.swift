extension Snippet {
    /// The input, the effect or the undo is missing.
    static let missing = [
        Snippet(
            "a step without an undo",
            #"""
            // expect: 'step(_:id:key:input:_:policy:approval:_:)' is unavailable: a step says how it is undone: 'undo: { output, step in … }' after the body or 'irreversible: "why"' before it
            let key = try await context.step("issue", input: "db", .idempotent(retention: .days(1))) { service, step in
                try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
            }
            print(key.id)
            """#),
        Snippet(
            "a step without an undo whose body has several statements",
            #"""
            // expect: 'step(_:id:key:input:_:policy:approval:_:)' is unavailable: a step says how it is undone: 'undo: { output, step in … }' after the body or 'irreversible: "why"' before it
            let key = try await context.step("issue", input: "db", .atMostOnce(inDoubt: .askPerson), policy: .retry(.never)) { service, step in
                let key = try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
                return key
            }
            print(key.id)
            """#),
        Snippet(
            "a step without an effect",
            #"""
            // expect: 'step(_:id:key:input:policy:approval:_:undo:)' is unavailable: a step says what repeating it would do: '.idempotent(retention:)' or '.atMostOnce(inDoubt:)' after 'input:'
            let key = try await context.step("issue", input: "db") { service, step in
                try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
            } undo: { key, step in
                try await vault.revoke(key.id, idempotencyKey: step.idempotencyKey)
            }
            print(key.id)
            """#),
        Snippet(
            "an irreversible step without an effect",
            #"""
            // expect: 'step(_:id:key:input:policy:approval:irreversible:_:)' is unavailable: a step says what repeating it would do: '.idempotent(retention:)' or '.atMostOnce(inDoubt:)' after 'input:'
            let key = try await context.step("issue", input: "db", irreversible: "keys are for ever") { service, step in
                try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
            }
            print(key.id)
            """#),
        Snippet(
            "a step with neither effect nor undo",
            #"""
            // expect: 'step(_:id:key:input:policy:approval:_:)' is unavailable: a step says its effect and its undo: step(name, input:, EFFECT) { … } undo: { … }; without an effect: 'read'
            let key = try await context.step("issue", input: "db") { service, step in
                try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
            }
            print(key.id)
            """#),
        Snippet(
            "an act without an undo",
            #"""
            // expect: 'act(_:id:key:input:_:policy:approval:_:)' is unavailable: an act says how it is undone: 'undo: { input, step in … }' after the body or 'irreversible: "why"' before it
            try await context.act("switch", input: KeyID(raw: "a"), .idempotent(retention: .days(1))) { id, step in
                try await vault.activate(id)
            }
            """#),
        Snippet(
            "a step in a transaction without an undo",
            #"""
            // expect: 'step(_:id:key:input:_:policy:approval:_:)' is unavailable: a step says how it is undone: 'undo: { … }' after the body or 'irreversible: "why"' before it
            let total = try await context.step("add", input: 1, transactional()) { number, total in total + number }
            print(total)
            """#),
        Snippet(
            "an act in a transaction without an undo",
            #"""
            // expect: 'act(_:id:key:input:_:policy:approval:_:)' is unavailable: an act says how it is undone: 'undo: { … }' after the body or 'irreversible: "why"' before it
            try await context.act("add", input: 1, transactional()) { number, total in print(total + number) }
            """#),
        Snippet(
            "an act without an effect",
            #"""
            // expect: 'act(_:id:key:input:policy:approval:_:undo:)' is unavailable: an act says what repeating it would do: '.idempotent(retention:)' or '.atMostOnce(inDoubt:)' after 'input:'
            try await context.act("switch", input: KeyID(raw: "a")) { id, step in
                try await vault.activate(id)
            } undo: { id, step in
                try await vault.revoke(id, idempotencyKey: step.idempotencyKey)
            }
            """#),
        Snippet(
            "an irreversible act without an effect",
            #"""
            // expect: 'act(_:id:key:input:policy:approval:irreversible:_:)' is unavailable: an act says what repeating it would do: '.idempotent(retention:)' or '.atMostOnce(inDoubt:)' after 'input:'
            try await context.act("switch", input: KeyID(raw: "a"), irreversible: "the old key stops working") { id, step in
                try await vault.activate(id)
            }
            """#),
        Snippet(
            "an act with neither effect nor undo",
            #"""
            // expect: 'act(_:id:key:input:policy:approval:_:)' is unavailable: an act says its effect and its undo: act(name, input:, EFFECT) { … } undo: { … }
            try await context.act("switch", input: KeyID(raw: "a")) { id, step in
                try await vault.activate(id)
            }
            """#),
        Snippet(
            "a step with nothing but a body",
            #"""
            // expect: 'step(_:id:key:policy:_:)' is unavailable: a step says its effect and its undo: step(name, input:, EFFECT) { … } undo: { … }; without an effect: 'read'
            // expect: 'act(_:id:key:policy:_:)' is unavailable: an act says its effect and its undo: act(name, input:, EFFECT) { … } undo: { … }
            let key = try await context.step("issue") { try await vault.issueKey(for: "db", idempotencyKey: "db") }
            try await context.act("switch") { try await vault.activate(key.id) }
            """#),
        Snippet(
            "a step without an input",
            #"""
            // expect: 'step(_:id:key:_:policy:approval:irreversible:_:)' is unavailable: a step records an input and hands it to its body: add 'input:' ('input: Nothing()' if there is none)
            // expect: 'step(_:id:key:_:policy:approval:undoing:_:undo:)' is unavailable: a step records an input and hands it to its body: add 'input:' ('input: Nothing()' if there is none)
            let first = try await context.step("issue", .idempotent(retention: .days(1)), irreversible: "keys are for ever") { step in
                try await vault.issueKey(for: "db", idempotencyKey: step.idempotencyKey)
            }
            let second = try await context.step("issue", .idempotent(retention: .days(1))) { _, step in
                try await vault.issueKey(for: "db", idempotencyKey: step.idempotencyKey)
            } undo: { key, step in
                try await vault.revoke(key.id, idempotencyKey: step.idempotencyKey)
            }
            print(first.id, second.id)
            """#),
        Snippet(
            "an act without an input",
            #"""
            // expect: 'act(_:id:key:_:policy:approval:irreversible:_:)' is unavailable: an act records an input and hands it to its body: add 'input:' ('input: Nothing()' if there is none)
            // expect: 'act(_:id:key:_:policy:approval:undoing:_:undo:)' is unavailable: an act records an input and hands it to its body: add 'input:' ('input: Nothing()' if there is none)
            try await context.act("switch", .idempotent(retention: .days(1)), irreversible: "the old key stops working") { step in
                try await vault.activate(KeyID(raw: step.idempotencyKey))
            }
            try await context.act("switch", .idempotent(retention: .days(1))) { _, step in
                try await vault.activate(KeyID(raw: step.idempotencyKey))
            } undo: { _, step in
                print(step.attempt)
            }
            """#),
        Snippet(
            "a typed step without an undo",
            #"""
            // expect: type 'Charge' does not conform to protocol 'Step'
            struct Charge: Step {
                static let name = "charge"
                var effect: Effect<String, String> { .idempotent(retention: .days(1)) }
                func perform(_ card: String, _ step: StepContext) async throws -> String { card }
            }
            """#),
        Snippet(
            "a typed step without an effect",
            #"""
            // expect: type 'Letter' does not conform to protocol 'IrreversibleStep'
            struct Letter: IrreversibleStep {
                static let name = "letter"
                let reason = "a letter is gone"
                func perform(_ text: String, _ step: StepContext) async throws -> String { text }
            }
            """#),
    ]
}
