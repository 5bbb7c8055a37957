extension Snippet {
    /// Values that cannot be recorded.
    static let values = [
        Snippet(
            "a step whose result is a secret",
            #"""
            // expect: 'step(_:id:key:input:_:policy:approval:irreversible:_:)' is unavailable: a step records its input and result: both must be Codable; without a result use 'act', of a secret a reference
            let secret = try await context.step("mint", input: "db", .idempotent(retention: .days(1)), irreversible: "tokens expire") { service, step in Secret(service) }
            print(secret)
            """#),
        Snippet(
            "a step whose result is a secret that nobody uses",
            #"""
            // expect: 'step(_:id:key:input:_:policy:approval:undoing:_:undo:)' is unavailable: a step records its input and result: both must be Codable; without a result use 'act', of a secret a reference
            // expect: type 'Any' does not conform to the 'Sendable' protocol
            // expect: type 'Any' does not conform to the 'Sendable' protocol
            // expect: type 'Any' does not conform to the 'Sendable' protocol
            // expect: type 'Any' does not conform to the 'Sendable' protocol
            // expect: type 'Any' does not conform to the 'Sendable' protocol
            try await context.step("mint", input: "db", .idempotent(retention: .days(1))) { service, step in
                print(step.attempt)
                return Secret(service)
            } undo: { secret, step in
                secret.withValue { print($0) }
            }
            """#),
        Snippet(
            "a heartbeat with a secret",
            #"""
            // expect: instance method 'heartbeat' requires that 'Secret<String>' conform to 'Decodable'
            // expect: instance method 'heartbeat' requires that 'Secret<String>' conform to 'Encodable'
            try await context.act("copy", input: "db", .idempotent(retention: .forever), irreversible: "why") { _, step in try step.heartbeat(Secret("token")) }
            """#),
        Snippet(
            "a step whose input is a secret",
            #"""
            // expect: 'step(_:id:key:input:_:policy:approval:irreversible:_:)' is unavailable: a step records its input and result: both must be Codable; without a result use 'act', of a secret a reference
            let length = try await context.step("mint", input: Secret("db"), .idempotent(retention: .days(1)), irreversible: "tokens expire") { _, step in step.attempt }
            print(length)
            """#),
        Snippet(
            "a step whose result is not Codable",
            #"""
            // expect: 'step(_:id:key:input:_:policy:approval:irreversible:_:)' is unavailable: a step records its input and result: both must be Codable; without a result use 'act', of a secret a reference
            // expect: 'step(_:id:key:input:_:policy:approval:irreversible:_:)' is unavailable: a step records its input and result: both must be Codable; without a result use 'act', of a secret a reference
            let value = try await context.step("make", input: "db", .idempotent(retention: .days(1)), irreversible: "why") { _, _ in NotCodable() }
            let (a, b) = try await context.step("pair", input: "db", .idempotent(retention: .days(1)), irreversible: "why") { service, _ in (service, 1) }
            print(value, a, b)
            """#),
        Snippet(
            "an act that returns a secret",
            #"""
            // expect: 'act(_:id:key:input:_:policy:approval:irreversible:_:)' is unavailable: an act records no result; for work with one use 'step'
            // expect: 'act(_:id:key:input:_:policy:approval:irreversible:_:)' is unavailable: an act records no result; for work with one use 'step'
            let secret = try await context.act("mint", input: "db", .idempotent(retention: .days(1)), irreversible: "tokens expire") { service, step in
                print(step.attempt)
                return Secret(service)
            }
            let other: Secret<String> = try await context.act("mint", input: "db", .idempotent(retention: .days(1)), irreversible: "why") { service, _ in Secret(service) }
            print(secret, other)
            """#),
        Snippet(
            "an act whose input is not Codable",
            #"""
            // expect: 'act(_:id:key:input:_:policy:approval:undoing:_:undo:)' is unavailable: an act records its input, so it must be Codable; of a secret record a reference
            // expect: 'act(_:id:key:input:_:policy:approval:irreversible:_:)' is unavailable: an act records its input, so it must be Codable; of a secret record a reference
            try await context.act("store", input: NotCodable(), .idempotent(retention: .days(1))) { value, _ in print(value) } undo: { value, _ in print(value) }
            try await context.act("store", input: Secret("a"), .idempotent(retention: .days(1)), irreversible: "why") { value, _ in print(value) }
            """#),
        Snippet(
            "a read whose result or input cannot be recorded",
            #"""
            // expect: 'read(_:id:policy:_:)' is unavailable: a read records its input and result: both must be Codable; without a result use 'act', of a secret a reference
            // expect: 'read(_:id:policy:_:)' is unavailable: a read records its input and result: both must be Codable; without a result use 'act', of a secret a reference
            // expect: 'read(_:id:input:policy:_:)' is unavailable: a read records its input and result: both must be Codable; without a result use 'act', of a secret a reference
            let secret = try await context.read("secret") { Secret("a") }
            let value = try await context.read("value") { step in NotCodable(number: step.attempt) }
            let attempt = try await context.read("attempt", input: Secret("a")) { _, step in step.attempt }
            print(secret, value, attempt)
            """#),
        Snippet(
            "a typed step whose result is a secret",
            #"""
            // expect: type 'Mint' does not conform to protocol 'IrreversibleStep'
            struct Mint: IrreversibleStep {
                static let name = "mint"
                let reason = "tokens expire"
                var effect: Effect<String, Secret<String>> { .idempotent(retention: .days(1)) }
                func perform(_ service: String, _ step: StepContext) async throws -> Secret<String> { Secret(service) }
            }
            """#),
    ]
}
