import Foundation
import Perdure
import PerdureProcess
import PerdureStore
import Testing

@testable import PerdurePostgres

/// Servers that refuse, links that end, answers that never come.
struct FailureTests {
    private static let sleep = SQL("SELECT pg_sleep(60)")
    private static let one = SQL("SELECT 1")
    private static let backend = SQL("SELECT pg_backend_pid()")
    private static let end = SQL("SELECT pg_terminate_backend($1::int8::int, 10000)")
    private static let isThere = SQL("SELECT 1 FROM pg_stat_activity WHERE pid = $1")
    private static let isWaiting = SQL("SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'")
    private static let moment = SQL("SELECT pg_sleep(0.05)")
    private static let endSelf = SQL("SELECT pg_terminate_backend(pg_backend_pid())")
    private static let insertAndEnd = SQL("INSERT INTO notes SELECT 8, pg_terminate_backend(pg_backend_pid())::text")
    private static let missingTable = SQL("SELECT 1 FROM nothing_of_this_name")
    private static let missingColumn = SQL("SELECT nothing_of_this_name FROM pg_class")
    private static let rights = SQL("SELECT * FROM pg_authid")

    private static func change(_ body: (inout URLComponents) -> Void) throws -> ServerAddress {
        var parts = try PostgresServer.parts
        body(&parts)
        return try ServerAddress(parts.string ?? "")
    }

    private static func refusal(_ address: ServerAddress) async throws -> StoreError {
        let connection = Connection(address)
        return try await storeError { try await connection.perform { _ = try $0.exists(one) } }
    }

    // MARK: Getting in

    @Test("A wrong password, user or database is said, with a code of its own, and without the password")
    func credentials() async throws {
        let password = try await Self.refusal(Self.change { $0.password = "not-the-password" })
        #expect(password.kind == "store_refused")
        #expect(!password.description.contains("not-the-password") && password.description.contains("28P01"))
        #expect(try await Self.refusal(Self.change { $0.user = "nobody-of-this-name" }).kind == "store_refused")
        let database = try await Self.refusal(Self.change { $0.path = "/nothing_of_this_name" })
        #expect(database.kind == "store_missing" && database.description.contains("nothing_of_this_name"))
    }

    @Test("A missing password is said")
    func noPassword() async throws {
        let error = try await Self.refusal(
            Self.change {
                $0.password = nil; $0.query = "passfile=/dev/null"
            })
        #expect(error.kind == "store_refused" && error.description.contains("password"))
    }

    @Test(
        "A value that libpq does not know is said",
        arguments: ["sslmode=sometimes", "keepalives=many", "target_session_attrs=best"])
    func settings(_ query: String) async throws {
        #expect(try await Self.refusal(Self.change { $0.query = query }).kind == "usage")
    }

    @Test("A server that cannot be written to is said")
    func readOnly() async throws {
        let query = "options=-c%20default_transaction_read_only%3Don"
        #expect(try await Self.refusal(PostgresServer.address(query)).kind == "store_read_only")
        let connection = Connection(try PostgresServer.address(query + "&target_session_attrs=any"))
        let error = try await storeError { try await connection.perform { try $0.run("CREATE TABLE never (id int)") } }
        #expect(error.kind == "store_read_only")
    }

    @Test("A server without a connection left is unavailable")
    func connections() async throws {
        let role = "r\(UUID().uuidString.lowercased().replacing("-", with: ""))"
        try await Connection(toTestServer: ()).perform {
            try $0.run("CREATE ROLE \(role) LOGIN PASSWORD 'p' CONNECTION LIMIT 0")
        }
        let address = try Self.change {
            $0.user = role; $0.password = "p"
        }
        let error = try await Self.refusal(address)
        #expect(error.kind == "unavailable" && error.description.contains("53300"))
    }

    @Test("A server that refuses who was let in before is unavailable, and heals")
    func changingPassword() async throws {
        let role = "r\(UUID().uuidString.lowercased().replacing("-", with: ""))"
        let server = try Connection(toTestServer: ())
        try await server.perform { try $0.run("CREATE ROLE \(role) LOGIN PASSWORD 'p'") }
        let connection = Connection(
            try Self.change {
                $0.user = role; $0.password = "p"
            })
        try await connection.perform { _ = try $0.exists(Self.one) }
        try await server.perform { try $0.run("ALTER ROLE \(role) PASSWORD 'q'") }
        _ = try await storeError { try await connection.perform { try $0.execute(Self.endSelf) } }
        let error = try await storeError { try await connection.perform { _ = try $0.exists(Self.one) } }
        #expect(error.kind == "unavailable" && error.description.contains("28P01"))
        try await server.perform { try $0.run("ALTER ROLE \(role) PASSWORD 'p'") }
        #expect(try await connection.perform { try $0.exists(Self.one) })
    }

    @Test("A port that nobody listens on is unavailable, and heals with the server")
    func dead() async throws {
        let schema = try await TestSchema(), first = try Proxy()
        let connection = try schema.connect(through: first)
        try await connection.perform { _ = try $0.execute(TestSchema.insert, 1, "x") }
        first.stop()
        for _ in 0..<2 {
            #expect(try await storeError { try await connection.perform { _ = try $0.exists(Self.one) } }.kind == "unavailable")
        }
        let second = try Proxy(on: first.port)
        defer { second.stop() }
        try await connection.perform { _ = try $0.execute(TestSchema.insert, 2, "x") }
        #expect(try await schema.ids() == [1, 2])
    }

    @Test("A server that says nothing while it should let us in is given up, and another host tried")
    func silentHost() async throws {
        let proxy = try Proxy()
        defer { proxy.stop() }
        proxy.mode = .swallowing
        let error = try await Self.refusal(PostgresServer.address(port: proxy.port, "connect_timeout=1"))
        #expect(error.kind == "unavailable" && error.description.contains("\(proxy.port)"))
        let parts = try PostgresServer.parts, host = parts.host ?? "", port = parts.port ?? 0
        let both = try ServerAddress(
            "host=\(host),\(host) port=\(proxy.port),\(port) user=\(parts.user ?? "") password=\(parts.password ?? "") dbname=postgres connect_timeout=1"
        )
        let connection = Connection(both)
        #expect(try await connection.perform { try $0.exists(Self.one) })
    }

    @Test("Who waited while a server did not answer is not made to wait for it once more")
    func waiters() async throws {
        let proxy = try Proxy()
        defer { proxy.stop() }
        proxy.mode = .swallowing
        let connection = Connection(try PostgresServer.address(port: proxy.port, "connect_timeout=1"))
        await withTaskGroup(of: String?.self) { group in
            for _ in 0..<20 {
                group.addTask { try? await storeError { try await connection.perform { _ = try $0.exists(Self.one) } }.kind }
            }
            for await kind in group { #expect(kind == "unavailable") }
        }
        #expect(proxy.connectionCount < 20)
    }

    @Test("What is done with every link is done again with the next, and its failure is that of the work")
    func opening() async throws {
        let connection = Connection(try PostgresServer.address()) { try $0.run("SELECT 1 FROM nothing_of_this_name") }
        for _ in 0..<2 {
            #expect(try await storeError { try await connection.perform { _ = try $0.exists(Self.one) } }.kind == "corrupt")
        }
        let schema = try await TestSchema(), other = try schema.connect()
        for id in 0..<2 {
            try await other.perform { session in
                _ = try session.execute(TestSchema.insert, id, "x")
                session.link.lose()
            }
        }
        #expect(try await schema.ids() == [0, 1])
    }

    @Test("A closed connection says so")
    func closed() async throws {
        let connection = try Connection(toTestServer: ())
        try await connection.perform { _ = try $0.exists(Self.one) }
        await connection.close()
        #expect(try await storeError { try await connection.perform { _ = try $0.exists(Self.one) } }.kind == "closed")
    }

    // MARK: Statements

    @Test("What a statement fails with becomes the error that callers act on")
    func statements() async throws {
        let connection = try Connection(toTestServer: ())
        func kind(_ work: @escaping @Sendable (Session) throws -> Void) async throws -> String {
            try await storeError { try await connection.perform(work) }.kind
        }
        #expect(try await kind { _ = try $0.exists(Self.missingTable) } == "corrupt")
        #expect(try await kind { _ = try $0.exists(Self.missingColumn) } == "corrupt")
        let slow = try await kind { session in
            try session.transaction {
                try session.run("SET LOCAL statement_timeout = 20")
                _ = try session.exists(Self.sleep)
            }
        }
        #expect(slow == "unavailable")
        let rights = try await kind { session in
            try session.transaction {
                try session.run("SET LOCAL ROLE pg_monitor")
                _ = try session.exists(Self.rights)
            }
        }
        #expect(rights == "store_refused")
        #expect(try await connection.perform { try $0.exists(Self.one) })
    }

    @Test(
        "Each code of the server leads to an error that says what can be done",
        arguments: [
            ("40001", "unavailable"), ("40P01", "unavailable"), ("55P03", "unavailable"), ("53100", "unavailable"),
            ("53200", "unavailable"), ("53300", "unavailable"), ("57014", "unavailable"), ("57P01", "unavailable"),
            ("57P03", "unavailable"), ("58030", "unavailable"), ("08006", "unavailable"), ("XX000", "unavailable"),
            ("08007", "outcome unknown"), ("40003", "outcome unknown"), ("28P01", "store_refused"), ("28000", "store_refused"),
            ("42501", "store_refused"), ("3D000", "store_missing"), ("25006", "store_read_only"), ("26000", "usage"),
            ("42P05", "usage"), ("42P01", "corrupt"), ("42703", "corrupt"), ("3F000", "corrupt"), ("23505", "corrupt"),
            ("22021", "corrupt"), ("XX001", "corrupt"),
        ])
    func codes(_ state: String, _ kind: String) {
        let error = StoreError(ServerFailure(sqlState: state, message: "what it was"))
        #expect(error.kind == kind)
        #expect(error.description.contains("what it was") && error.description.contains(state))
    }

    @Test("A value that is more than the server takes is refused before it is sent, as a matter of its data")
    func tooLarge() throws {
        #expect(try Arguments.length(Arguments.limit) == 1_000_000_000)
        let failure = try thrown { try Arguments.length(Arguments.limit + 1) }
        #expect(failure.isAboutData)
    }

    @Test("Statements whose tables have changed are prepared again on another link")
    func changedTable() async throws {
        let schema = try await TestSchema(), connection = try schema.connect()
        let read = SQL("SELECT * FROM notes")
        try await connection.perform { _ = try $0.exists(read) }
        try await schema.connect().perform { try $0.run("ALTER TABLE notes ADD COLUMN more text") }
        #expect(try await storeError { try await connection.perform { _ = try $0.exists(read) } }.kind == "unavailable")
        #expect(try await connection.perform { try $0.exists(read) } == false)
    }

    // MARK: Links that end

    @Test("A link that ended while nothing was asked is replaced without a failure")
    func endedBefore() async throws {
        let schema = try await TestSchema(), connection = try schema.connect(), other = try schema.connect()
        for id in 0..<2 {
            let backend = try await connection.perform { session in
                try session.execute(TestSchema.insert, id, "x")
                return try session.first(Self.backend) { try $0.integer(0) }
            }
            #expect(try await other.perform { try $0.first(Self.end, backend) { try $0.bool(0) } } == true)
        }
        try await connection.perform { _ = try $0.execute(TestSchema.insert, 2, "x") }
        #expect(try await schema.ids() == [0, 1, 2])
    }

    @Test("A link that ends in a transaction leaves nothing, and that is known")
    func endedWithin() async throws {
        let schema = try await TestSchema(), connection = try schema.connect()
        let error = try await storeError {
            try await connection.perform { session in
                try session.transaction {
                    try session.execute(TestSchema.insert, 1, "x")
                    _ = try session.exists(Self.endSelf)
                }
            }
        }
        #expect(error.kind == "unavailable" && error.description.contains("57P01"))
        try await connection.perform { _ = try $0.execute(TestSchema.insert, 2, "x") }
        #expect(try await schema.ids() == [2])
    }

    @Test("A link that ends while something is written outside of a transaction leaves its outcome open")
    func endedWithWrite() async throws {
        let schema = try await TestSchema(), connection = try schema.connect()
        let error = try await storeError { try await connection.perform { _ = try $0.execute(Self.insertAndEnd) } }
        #expect(error.kind == "outcome unknown")
        let read = try await storeError { try await connection.perform { _ = try $0.exists(Self.endSelf) } }
        #expect(read.kind == "unavailable")
    }

    @Test("A link that the server ends with the COMMIT leaves its outcome open", arguments: [true, false])
    func endedWithCommit(_ pipelined: Bool) async throws {
        let schema = try await TestSchema(), connection = try schema.connect()
        try await connection.perform { session in
            try session.run(
                """
                CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS
                    'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
                CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cut();
                """)
        }
        let error = try await storeError {
            try await connection.perform { session in
                try session.transaction {
                    try session.execute(TestSchema.insert, 1, "x")
                    if pipelined { try session.pipeline { try $0.commit() } }
                }
            }
        }
        #expect(error.kind == "outcome unknown")
        #expect(try await connection.perform { try $0.exists(Self.one) })
    }

    @Test(
        "A COMMIT whose answer, or which itself, is lost on the way leaves its outcome open", arguments: [true, false],
        [true, false])
    func lostCommit(_ arrives: Bool, pipelined: Bool) async throws {
        let schema = try await TestSchema(), proxy = try Proxy()
        defer { proxy.stop() }
        let connection = try schema.connect(through: proxy)
        let error = try await storeError {
            try await connection.perform { session in
                try session.transaction {
                    try session.execute(TestSchema.insert, 1, "x")
                    proxy.mode = arrives ? .cuttingAnswers : .cuttingQuestions
                    if pipelined {
                        try session.pipeline { pipeline in
                            try pipeline.execute(TestSchema.insert, 2, "x")
                            try pipeline.commit()
                        }
                    }
                }
            }
        }
        #expect(error.kind == "outcome unknown")
        proxy.mode = .passing
        // The same connection heals, and what was committed is there.
        let ids = try await connection.perform { try $0.all(TestSchema.ids) { try $0.integer(0) } }
        #expect(ids == (arrives ? pipelined ? [1, 2] : [1] : []))
    }

    @Test("A link that is lost in a transaction before its COMMIT was sent leaves nothing, and that is known")
    func lostBeforeCommit() async throws {
        let schema = try await TestSchema(), proxy = try Proxy()
        defer { proxy.stop() }
        let connection = try schema.connect(through: proxy)
        let error = try await storeError {
            try await connection.perform { session in
                try session.transaction {
                    try session.execute(TestSchema.insert, 1, "x")
                    proxy.mode = .cuttingAnswers
                    try session.pipeline { try $0.execute(TestSchema.insert, 2, "x") }
                }
            }
        }
        #expect(error.kind == "unavailable")
        #expect(try await schema.ids() == [])
    }

    @Test("A server that waits for a lock notices that the one who asked for it is gone")
    func abandoned() async throws {
        let schema = try await TestSchema(), proxy = try Proxy()
        defer { proxy.stop() }
        let holder = try schema.connect(), waiter = try schema.connect(through: proxy), observer = try schema.connect()
        let backend = try await waiter.perform { try $0.first(Self.backend) { try $0.integer(0) } }
        try await holder.perform { session in
            try session.transaction {
                try session.run("LOCK TABLE notes")
                let waiting = Task { try await waiter.perform { _ = try $0.exists(TestSchema.ids) } }
                try observer.performHere { session in
                    while try !session.exists(Self.isWaiting, backend) { _ = try session.exists(Self.moment) }
                    proxy.cut()
                    // The lock is still held: only the server's own looking ends this.
                    while try session.exists(Self.isThere, backend) { _ = try session.exists(Self.moment) }
                }
                waiting.cancel()
            }
        }
    }

    @Test("A server that falls silent is given up: a read can be asked again, a commit's outcome is open")
    func silent() async throws {
        let schema = try await TestSchema(), proxy = try Proxy()
        defer { proxy.stop() }
        let connection = try schema.connect(through: proxy, answerLimit: .seconds(2))
        let read = try await storeError {
            try await connection.perform { session in
                _ = try session.exists(Self.one)
                proxy.mode = .swallowing
                _ = try session.exists(Self.one)
            }
        }
        #expect(read.kind == "unavailable" && read.description.contains("2"))
        proxy.mode = .passing
        let commit = try await storeError {
            try await connection.perform { session in
                try session.transaction {
                    try session.execute(TestSchema.insert, 1, "x")
                    proxy.mode = .swallowing
                }
            }
        }
        #expect(commit.kind == "outcome unknown")
        proxy.mode = .passing
        #expect(try await connection.perform { try $0.all(TestSchema.ids) { try $0.integer(0) } } == [1])
    }
}
