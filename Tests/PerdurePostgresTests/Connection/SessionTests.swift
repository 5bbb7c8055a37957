import PerdureStore
import Testing

@testable import PerdurePostgres

/// Statements, transactions and pipelines.
struct SessionTests {
    private static let divide = SQL("SELECT 1 / $1::int8")
    private static let delete = SQL("DELETE FROM notes")
    private static let deleteReturning = SQL("DELETE FROM notes RETURNING id")
    private static let one = SQL("SELECT 1::int8")
    private static let statements = SQL("SELECT count(*) FROM pg_prepared_statements")
    private static let backend = SQL("SELECT pg_backend_pid()")
    private static let series = SQL("SELECT g, repeat('x', 1000) FROM generate_series(1, $1::int8) AS g")
    private static let missing = SQL("SELECT 1 FROM nothing_of_this_name")

    private struct Stop: Error {}

    @Test("A statement says how many rows it changed, and gives its rows", arguments: ["", "perdure_prepare=false"])
    func statements(_ query: String) async throws {
        let schema = try await TestSchema()
        try await schema.connect(query).perform { session throws in
            for id in 1...3 { #expect(try session.execute(TestSchema.insert, id, "n\(id)") == 1) }
            #expect(try session.all(TestSchema.ids) { try $0.integer(0) } == [1, 2, 3])
            #expect(try session.first(TestSchema.ids) { try $0.integer(0) } == 1)
            #expect(try session.exists(TestSchema.ids))
            #expect(try session.execute(Self.delete) == 3)
            #expect(try !session.exists(TestSchema.ids))
            #expect(try session.first(TestSchema.ids) { try $0.integer(0) } == nil)
        }
    }

    @Test("A statement is prepared once on each link, and not at all where that was asked for")
    func preparing() async throws {
        let connection = try Connection(toTestServer: ()), other = try Connection(toTestServer: "perdure_prepare=false")
        let counts = try await connection.perform { session in
            for _ in 0..<3 { #expect(try session.exists(Self.one)) }
            return try (0..<2).map { _ in try session.first(Self.statements) { try $0.integer(0) } }
        }
        #expect(counts == [2, 2])
        let none = try await other.perform { session in
            for _ in 0..<3 { #expect(try session.exists(Self.one)) }
            return try session.first(Self.statements) { try $0.integer(0) }
        }
        #expect(none == 0)
    }

    @Test("A failed statement leaves the session usable, and says what it was")
    func failures() async throws {
        let schema = try await TestSchema()
        try await schema.connect().perform { session in
            try session.execute(TestSchema.insert, 1, "a")
            let double = try thrown { try session.execute(TestSchema.insert, 1, "b") }
            #expect(double.isUnique("notes_id") && double.isAboutData && !double.isUnique("other") && !double.isRetryable)
            let division = try thrown { try session.exists(Self.divide, 0) }
            #expect(division.sqlState == "22012" && division.isAboutData && division.constraint == nil)
            let missing = try thrown { try session.exists(Self.missing) }
            #expect(missing.sqlState == "42P01" && !missing.isAboutData)
            #expect(try session.exists(Self.divide, 1))
            #expect(try session.first(TestSchema.count) { try $0.integer(0) } == 1)
        }
    }

    @Test("A script runs several statements, all or none of them")
    func scripts() async throws {
        let schema = try await TestSchema()
        try await schema.connect().perform { session in
            try session.run("INSERT INTO notes VALUES (1, 'a'); SELECT 1; INSERT INTO notes VALUES (2, 'b')")
            let failure = try thrown {
                try session.run("INSERT INTO notes VALUES (3, 'c'); SELECT 1 / 0; INSERT INTO notes VALUES (4, 'd')")
            }
            #expect(failure.sqlState == "22012")
        }
        #expect(try await schema.ids() == [1, 2])
    }

    // MARK: Transactions

    @Test("A transaction is there as a whole when it has returned, and not before")
    func commits() async throws {
        let schema = try await TestSchema(), connection = try schema.connect(), other = try schema.connect()
        try await connection.perform { session in
            #expect(!session.isInTransaction)
            try session.transaction {
                #expect(session.isInTransaction)
                try session.execute(TestSchema.insert, 1, "a")
                #expect(session.isInTransaction)
                let seen = try other.performHere { try $0.first(TestSchema.count) { try $0.integer(0) } }
                #expect(seen == 0)
                try session.run("INSERT INTO notes VALUES (2, 'b')")
            }
            #expect(!session.isInTransaction)
        }
        #expect(try await schema.ids() == [1, 2])
    }

    @Test("A script as the first of a transaction is part of it")
    func scriptFirst() async throws {
        let schema = try await TestSchema()
        _ = try await schema.connect().perform { session in
            try thrown(Stop.self) {
                try session.transaction {
                    try session.run("INSERT INTO notes VALUES (1, 'a')")
                    throw Stop()
                }
            }
        }
        #expect(try await schema.ids() == [])
    }

    @Test("What throws leaves nothing, and the next transaction is its own")
    func rollback() async throws {
        let schema = try await TestSchema()
        try await schema.connect().perform { session in
            try thrown(Stop.self) {
                try session.transaction {
                    try session.execute(TestSchema.insert, 1, "a")
                    throw Stop()
                }
            }
            try thrown(Stop.self) { try session.transaction { throw Stop() } }
            #expect(!session.isInTransaction)
            let value = try session.transaction { 5 }
            #expect(value == 5)
            try session.transaction { _ = try session.execute(TestSchema.insert, 2, "b") }
        }
        #expect(try await schema.ids() == [2])
    }

    @Test("A transaction in which a statement failed is not taken for committed")
    func swallowedFailure() async throws {
        let schema = try await TestSchema()
        try await schema.connect().perform { session in
            let failure = try thrown {
                try session.transaction {
                    try session.execute(TestSchema.insert, 1, "a")
                    _ = try? session.exists(Self.divide, 0)
                }
            }
            #expect(failure.isCommit && failure.sqlState == "25P02")
            #expect(!session.isInTransaction)
        }
        #expect(try await schema.ids() == [])
    }

    @Test("A transaction within another, and one that a statement ends, are refused")
    func misuse() async throws {
        let schema = try await TestSchema()
        try await schema.connect().perform { session in
            try thrown { try session.transaction { try session.transaction {} } }
            try thrown { try session.transaction { try session.run("ROLLBACK") } }
            try thrown { try session.pipeline { try $0.commit() } }
            #expect(!session.isInTransaction)
        }
    }

    @Test("What work leaves open is taken back before the next work")
    func leftOpen() async throws {
        let schema = try await TestSchema(), connection = try schema.connect()
        try await connection.perform { session in
            try session.run("BEGIN")
            try session.execute(TestSchema.insert, 1, "a")
        }
        #expect(try await connection.perform { $0.isInTransaction } == false)
        #expect(try await schema.ids() == [])
    }

    @Test("A constraint that is looked at with the COMMIT fails it")
    func deferred() async throws {
        let schema = try await TestSchema()
        try await schema.connect().perform { session in
            try session.run("CREATE TABLE late (id int8 CONSTRAINT late_id UNIQUE DEFERRABLE INITIALLY DEFERRED)")
            let failure = try thrown {
                try session.transaction { try session.run("INSERT INTO late VALUES (1); INSERT INTO late VALUES (1)") }
            }
            #expect(failure.isCommit && failure.isUnique("late_id"))
            let other = try thrown {
                try session.transaction {
                    try session.run("INSERT INTO late VALUES (1); INSERT INTO late VALUES (1)")
                    try session.pipeline { pipeline in
                        try pipeline.all(Self.one) { _ in }
                        try pipeline.commit()
                    }
                }
            }
            #expect(other.isCommit && other.isUnique("late_id"))
            #expect(!session.isInTransaction)
        }
    }

    // MARK: Pipelines

    @Test("A pipeline hands out its answers in order, and commits at its end", arguments: ["", "perdure_prepare=false"])
    func pipelines(_ query: String) async throws {
        let schema = try await TestSchema()
        try await schema.connect(query).perform { session in
            var log: [String] = []
            let value = try session.transaction {
                try session.pipeline { pipeline in
                    for id in 1...3 { try pipeline.execute(TestSchema.insert, id, "x") { log.append("\(id): \($0)") } }
                    try pipeline.execute(TestSchema.insert, 4, nil as String?)
                    try pipeline.all(TestSchema.ids) { log.append("row \(try $0.integer(0))") }
                    try pipeline.all(Self.deleteReturning) { log.append("gone \(try $0.integer(0))") }
                    try pipeline.execute(TestSchema.insert, 9, "y")
                    try pipeline.commit()
                    #expect(log.isEmpty)
                }
                #expect(!session.isInTransaction)
                return 7
            }
            #expect(value == 7)
            #expect(
                log == ["1: 1", "2: 1", "3: 1"] + (1...4).map { "row \($0)" } + (1...4).map { "gone \($0)" })
        }
        #expect(try await schema.ids() == [9])
    }

    @Test(
        "A failure in a pipeline is thrown after the answers before it, with its place, and nothing remains",
        arguments: [true, false])
    func failingPipeline(_ commits: Bool) async throws {
        let schema = try await TestSchema()
        try await schema.connect().perform { session in
            var log: [String] = []
            let failure = try thrown {
                try session.transaction {
                    try session.pipeline { pipeline in
                        try pipeline.execute(TestSchema.insert, 1, "x") { log.append("first: \($0)") }
                        try pipeline.all(Self.divide, 0) { _ in log.append("divided") }
                        try pipeline.execute(TestSchema.insert, 2, "x") { log.append("third: \($0)") }
                        // Prepared nowhere else: the server has not got to it.
                        try pipeline.all(Self.series, 1) { _ in log.append("fourth") }
                        if commits { try pipeline.commit() }
                    }
                }
            }
            #expect(failure.sqlState == "22012" && failure.position == 1 && !failure.isCommit)
            #expect(log == ["first: 1"])
            #expect(!session.isInTransaction)
            #expect(try session.all(Self.series, 2) { try $0.integer(0) } == [1, 2])
            try session.transaction { _ = try session.execute(TestSchema.insert, 5, "x") }
        }
        #expect(try await schema.ids() == [5])
    }

    @Test("A pipeline with a statement that cannot be prepared fails at it, and the session goes on")
    func unpreparable() async throws {
        let schema = try await TestSchema()
        try await schema.connect().perform { session in
            for _ in 0..<2 {
                let failure = try thrown {
                    try session.pipeline { pipeline in
                        try pipeline.all(Self.one) { _ in }
                        try pipeline.all(Self.missing) { _ in }
                    }
                }
                #expect(failure.sqlState == "42P01" && failure.position == 1)
            }
            #expect(try session.exists(Self.one))
        }
    }

    @Test("A pipeline whose body throws sends nothing")
    func throwingBody() async throws {
        let schema = try await TestSchema()
        try await schema.connect().perform { session in
            try thrown(Stop.self) {
                try session.pipeline { pipeline in
                    try pipeline.execute(TestSchema.insert, 1, "x")
                    throw Stop()
                }
            }
            try session.pipeline { _ in }
        }
        #expect(try await schema.ids() == [])
    }

    @Test("A pipeline that only commits a failed transaction is not taken for a commit")
    func commitOfFailed() async throws {
        let schema = try await TestSchema()
        try await schema.connect().perform { session in
            let failure = try thrown {
                try session.transaction {
                    try session.execute(TestSchema.insert, 1, "x")
                    _ = try? session.exists(Self.divide, 0)
                    try session.pipeline { try $0.commit() }
                }
            }
            #expect(failure.sqlState == "25P02" && failure.isCommit)
        }
        #expect(try await schema.ids() == [])
    }

    @Test("A pipeline takes more in both directions than any buffer between here and the server")
    func largePipeline() async throws {
        let connection = try Connection(toTestServer: ())
        let text = String(repeating: "x", count: 200_000)
        let read = SQL("SELECT $1::text, repeat('y', 200000)")
        let length = try await connection.perform { session in
            var length = 0
            try session.pipeline { pipeline in
                for _ in 0..<100 { try pipeline.all(read, text) { length += try $0.text(0).count + $0.text(1).count } }
            }
            return length
        }
        #expect(length == 100 * 400_000)
    }

    @Test("Two connections work at once")
    func two() async throws {
        let schema = try await TestSchema(), one = try schema.connect(), two = try schema.connect()
        async let first: Void = one.perform { session in
            for id in 0..<50 { try session.transaction { _ = try session.execute(TestSchema.insert, id, "one") } }
        }
        async let second: Void = two.perform { session in
            for id in 50..<100 { try session.transaction { _ = try session.execute(TestSchema.insert, id, "two") } }
        }
        _ = try await (first, second)
        #expect(try await schema.ids() == Array(0..<100))
        let backends = try [one, two].map { connection in
            try connection.performHere { try $0.first(Self.backend) { try $0.integer(0) } }
        }
        #expect(backends[0] != backends[1])
    }
}
