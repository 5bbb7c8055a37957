extension Snippet {
    /// Ordinary mistakes in a body: the message has to speak of the mistake, not of the call around it.
    static let bodies = [
        Snippet(
            "a misspelt member in a body of one statement",
            #"""
            // expect: value of type 'VaultClient' has no member 'isueKey'
            // expect: cannot infer type of closure parameter 'key' without a type annotation
            let key = try await context.step("issue", input: "db", .idempotent(retention: .days(1))) { service, step in
                try await vault.isueKey(for: service, idempotencyKey: step.idempotencyKey)
            } undo: { key, step in
                try await vault.revoke(key.id, idempotencyKey: step.idempotencyKey)
            }
            print(key.id)
            """#),
        Snippet(
            "a misspelt member in an irreversible step",
            #"""
            // expect: value of type 'VaultClient' has no member 'isueKey'
            let key = try await context.step("issue", input: "db", .idempotent(retention: .days(1)), irreversible: "keys are for ever") { service, step in
                try await vault.isueKey(for: service, idempotencyKey: step.idempotencyKey)
            }
            print(key.id)
            """#),
        Snippet(
            "a misspelt member in a body of several statements",
            #"""
            // expect: value of type 'Key' has no member 'sumary'
            let key = try await context.step("issue", input: "db", .idempotent(retention: .days(1)), irreversible: "keys are for ever") { service, step in
                let key = try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
                print(key.sumary)
                return key
            }
            print(key.id)
            """#),
        Snippet(
            "a misspelt member in an undo",
            #"""
            // expect: value of type 'Key' has no member 'ident'
            let key = try await context.step("issue", input: "db", .idempotent(retention: .days(1))) { service, step in
                try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
            } undo: { key, step in
                try await vault.revoke(key.ident, idempotencyKey: step.idempotencyKey)
            }
            print(key.id)
            """#),
        Snippet(
            "a misspelt member in an act",
            #"""
            // expect: value of type 'VaultClient' has no member 'activat'
            // expect: value of type 'StepContext' has no member 'atempt'
            try await context.act("switch", input: KeyID(raw: "a"), .idempotent(retention: .days(1)), irreversible: "why") { id, _ in try await vault.activat(id) }
            try await context.act("switch", input: KeyID(raw: "a"), .idempotent(retention: .days(1)), irreversible: "why") { id, step in
                print(step.atempt)
                try await vault.activate(id)
            }
            """#),
        Snippet(
            "a misspelt member in a read",
            #"""
            // expect: value of type 'VaultClient' has no member 'usess'
            // expect: value of type 'VaultClient' has no member 'usess'
            let one = try await context.read("uses") { try await vault.usess(of: "a") }
            let two = try await context.read("uses") {
                let uses = try await vault.usess(of: "a")
                return uses
            }
            print(one, two)
            """#),
        Snippet(
            "an argument of another type",
            #"""
            // expect: cannot convert value of type 'Int' to expected argument type 'String'
            let key = try await context.step("issue", input: 7, .idempotent(retention: .days(1)), irreversible: "keys are for ever") { service, step in
                try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
            }
            print(key.id)
            """#),
        Snippet(
            "a probe of another type",
            #"""
            // expect: cannot convert value of type '@Sendable (Key, StepContext) -> ProbeAnswer<Key>' to expected argument type '@concurrent @Sendable (String, StepContext) async throws -> ProbeAnswer<Key>'
            let key = try await context.step(
                "issue", input: "db", .atMostOnce(inDoubt: .probe { service, _ in .happened(service) }), irreversible: "keys are for ever"
            ) { service, step in
                try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
            }
            print(key.id)
            """#),
        Snippet(
            "a probe with a misspelt answer",
            #"""
            // expect: type 'ProbeAnswer<Key>' has no member 'didNotHapen'
            let key = try await context.step(
                "issue", input: "db",
                .atMostOnce(inDoubt: .probe { service, _ in
                    let active = try await vault.activeKey(of: service)
                    if active.raw == service { return .happened(Key(id: active, summary: "")) }
                    return .didNotHapen
                }), irreversible: "keys are for ever"
            ) { service, step in
                let key = try await vault.issueKey(for: service, idempotencyKey: step.idempotencyKey)
                return key
            }
            print(key.id)
            """#),
        Snippet(
            "captures that are not Sendable",
            #"""
            // expect: mutation of captured var 'total' in concurrently-executing code
            // expect: capture of 'counter' with non-Sendable type 'Counter' in a '@Sendable' closure
            let counter = Counter()
            var total = 0
            let key = try await context.step("issue", input: "db", .idempotent(retention: .days(1)), irreversible: "keys are for ever") { service, step in
                total += 1
                return try await counter.issue(service)
            }
            print(key.id, total)
            """#),
        Snippet(
            "a timeout that changes a variable around it",
            #"""
            // expect: mutation of captured var 'total' in concurrently-executing code
            var total = 0
            try await context.timeout(.hours(1)) {
                try await context.sleep(for: .seconds(1))
                total += 1
            }
            print(total)
            """#),
    ]
}
