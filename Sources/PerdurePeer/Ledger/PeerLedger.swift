import GRDB

/// The peer's ledger: a SQLite file that knows every request and every effect.
///
/// The peer's world is the sum of its effects; there are no other tables to disagree with them. Each request is one
/// transaction, synced to disk before anything is answered, so the ledger may be trusted after any crash.
package final class PeerLedger: Sendable {
    private let pool: DatabasePool
    private let now: @Sendable () -> Int64

    /// Opens the ledger, and creates it if there is none.
    ///
    /// - Parameters:
    ///   - path: The file; more than one process may have it open.
    ///   - now: Microseconds since 1970.
    package init(path: String, now: @escaping @Sendable () -> Int64 = PeerConfiguration.systemMicroseconds) throws {
        var configuration = Configuration()
        configuration.label = "peer-ledger"
        configuration.busyMode = .timeout(10)
        configuration.prepareDatabase { db in
            if !db.configuration.readonly { try db.execute(sql: "PRAGMA synchronous = FULL") }
        }
        pool = try DatabasePool(path: path, configuration: configuration)
        self.now = now
        try pool.write(Self.prepareSchema)
    }

    // MARK: Looking

    /// All counts at this moment.
    package func counts() async throws -> PeerCounts {
        try await pool.read { db in
            var counts = PeerCounts()
            for row in try RequestCount.fetchAll(db, sql: Self.requestCounts) {
                counts.requests += row.requests
                counts.requestsRecognised += row.recognised
                counts.byOperation[row.operation, default: .init()].requests = row.requests
            }
            for row in try EffectCount.fetchAll(db, sql: Self.effectCounts) {
                counts.effects += row.effects
                counts.byOperation[row.operation, default: .init()].effects = row.effects
                counts.byOperation[row.operation, default: .init()].distinctResources = row.resources
            }
            for row in try DuplicateCount.fetchAll(db, sql: Self.duplicateCounts) {
                counts.duplicates += row.surplus
                counts.byOperation[row.operation, default: .init()].duplicates = row.surplus
            }
            return counts
        }
    }

    /// How many requests came and how many effects happened; of all operations if `selector` is `nil`.
    ///
    /// Much cheaper than `counts()`, which a long poll must not ask for after every request.
    func tally(of selector: OperationSelector?) async throws -> (requests: Int, effects: Int) {
        try await pool.read { db in
            let condition = Condition(selector, resource: nil)
            func count(_ table: String) throws -> Int {
                let sql = "SELECT COUNT(*) FROM \(table) WHERE \(condition.sql)"
                return try Int.fetchOne(db, sql: sql, arguments: condition.arguments) ?? 0
            }
            return (try count("requests"), try count("effects"))
        }
    }

    /// The effects of one operation, oldest first.
    package func effects(operation: PeerOperation) async throws -> [PeerEffect] {
        try await effects(of: .operation(operation), resource: nil)
    }

    /// The effects that fit, oldest first.
    ///
    /// - Parameters:
    ///   - selector: The operations meant; all if `nil`.
    ///   - resource: The resource meant; all if `nil`.
    package func effects(of selector: OperationSelector? = nil, resource: String? = nil) async throws -> [PeerEffect] {
        try await pool.read { db in
            let condition = Condition(selector, resource: resource)
            return try PeerEffect.fetchAll(
                db, sql: "SELECT * FROM effects WHERE \(condition.sql) ORDER BY id", arguments: condition.arguments)
        }
    }

    /// The requests that fit, oldest first; the parameters are those of `effects(of:resource:)`.
    package func requests(of selector: OperationSelector? = nil, resource: String? = nil) async throws -> [PeerRequest] {
        try await pool.read { db in
            let condition = Condition(selector, resource: resource)
            return try PeerRequest.fetchAll(
                db, sql: "SELECT * FROM requests WHERE \(condition.sql) ORDER BY id", arguments: condition.arguments)
        }
    }

    // MARK: Behaviours

    /// Sets the behaviour of an operation or a group, with all its counters, until it is set again.
    package func setBehaviour(_ behaviour: Behaviour, of selector: OperationSelector) async throws {
        try await pool.write { db in try Self.save(behaviour, as: selector.name, db) }
    }

    /// The behaviour set for exactly this operation or group; the default one if none was set.
    package func behaviour(of selector: OperationSelector) async throws -> Behaviour {
        try await pool.read { db in try Self.savedBehaviour(selector.name, db) ?? Behaviour() }
    }

    /// Says how often a vault key was used, which is what `GET /vault/keys/{id}/uses` tells.
    package func setUses(_ uses: Int, ofKey key: String) async throws {
        try await pool.write { db in
            try db.execute(sql: "INSERT OR REPLACE INTO uses (vault_key, uses) VALUES (?, ?)", arguments: [key, uses])
        }
    }

    /// Forgets everything: requests, effects, remembered answers, behaviours. Ids go on from where they were.
    package func reset() async throws {
        try await pool.write { db in
            for table in ["requests", "effects", "answers", "behaviours", "uses"] { try db.execute(sql: "DELETE FROM \(table)") }
        }
    }

    // MARK: Requests

    /// Decides about a request, does its work and writes it down, all in one transaction.
    ///
    /// - Parameter inProgress: Whether another request with the same key has not been answered yet.
    func admit(_ errand: Errand, inProgress: Bool) async throws -> Admission {
        let at = now()
        return try await pool.write { db in
            let (selector, saved) = try Self.behaviourInForce(errand.operation, db)
            var behaviour = saved
            let remembered = try Self.remembered(errand, db)
            let recognition = inProgress ? .inProgress : remembered?.recognition(of: errand) ?? .unknown
            switch behaviour.decide(recognition) {
            case .refuse(let refusal):
                if behaviour != saved { try Self.save(behaviour, as: selector, db) }
                return try Self.refuse(errand, Problem(refusal), at: at, db)
            case .proceed(let kind, let after):
                let result: WorkResult
                let outcome: PeerRequest.Outcome
                if kind == .replay, let remembered {
                    (result, outcome) = (.nothing(remembered.answer), .replayed)
                } else {
                    do {
                        result = try Self.perform(errand, at: at, db)
                    } catch let problem as Problem {
                        return try Self.refuse(errand, problem, at: at, db)
                    }
                    outcome = result.effect != nil ? .performed : errand.operation.isRead ? .read : .unchanged
                    if behaviour.keys == .honour { try Self.remember(result.answer, errand, db) }
                }
                if behaviour != saved { try Self.save(behaviour, as: selector, db) }
                let status: Int? =
                    switch after.ending {
                    case .answer: result.answer.status
                    case .fail: Problem.failedAfterEffect.status
                    case .drop: nil
                    }
                try Self.note(errand, outcome, status: status, effect: result.effect, at: at, db)
                return Admission(result: .success(result.answer), after: after)
            }
        }
    }

    /// Writes down a request that could not be read.
    func note(unreadable problem: Problem, _ operation: PeerOperation, key: String?, attempt: String?) async throws {
        let at = now()
        let errand = Errand(
            operation: operation, resource: "", distinction: "", digest: BodyDigest([]), key: key, attempt: attempt,
            work: { _ in throw problem })
        _ = try await pool.write { db in try Self.refuse(errand, problem, at: at, db) }
    }

    /// Does the work; what it did before it threw is taken back.
    private static func perform(_ errand: Errand, at: Int64, _ db: Database) throws -> WorkResult {
        var result: WorkResult?
        try db.inSavepoint {
            result = try errand.work(LedgerTransaction(db: db, errand: errand, at: at))
            return .commit
        }
        // Never the case: the savepoint has run the closure, or thrown.
        guard let result else { throw CancellationError() }
        return result
    }

    private static func refuse(_ errand: Errand, _ problem: Problem, at: Int64, _ db: Database) throws -> Admission {
        try note(errand, .refused, status: problem.status, effect: nil, at: at, db)
        return Admission(result: .failure(problem), after: .init())
    }

    private static func note(
        _ errand: Errand, _ outcome: PeerRequest.Outcome, status: Int?, effect: Int64?, at: Int64, _ db: Database
    ) throws {
        try db.execute(
            sql: """
                INSERT INTO requests (at, operation, resource, idempotency_key, attempt, outcome, status, effect)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                at, errand.operation.rawValue, errand.resource, errand.key, errand.attempt, outcome.rawValue, status, effect,
            ])
    }
}

// MARK: - Keys and behaviours in a transaction

extension PeerLedger {
    private struct Remembered: Decodable, FetchableRecord {
        let digest: String
        let status: Int
        let json: String

        var answer: Answer { Answer(status: status, json: json) }

        func recognition(of errand: Errand) -> KeyRecognition {
            digest == errand.digest.description ? .sameBody : .otherBody
        }
    }

    private static func remembered(_ errand: Errand, _ db: Database) throws -> Remembered? {
        guard let key = errand.key, !errand.operation.isRead else { return nil }
        return try Remembered.fetchOne(
            db, sql: "SELECT body_digest AS digest, status, json FROM answers WHERE idempotency_key = ?", arguments: [key])
    }

    private static func remember(_ answer: Answer, _ errand: Errand, _ db: Database) throws {
        guard let key = errand.key, !errand.operation.isRead else { return }
        try db.execute(
            sql: "INSERT INTO answers (idempotency_key, body_digest, status, json) VALUES (?, ?, ?, ?)",
            arguments: [key, errand.digest.description, answer.status, answer.json])
    }

    /// The behaviour of the operation itself hides that of its group.
    private static func behaviourInForce(_ operation: PeerOperation, _ db: Database) throws -> (name: String, Behaviour) {
        if let behaviour = try savedBehaviour(operation.rawValue, db) { return (operation.rawValue, behaviour) }
        return (operation.group, try savedBehaviour(operation.group, db) ?? Behaviour())
    }

    private static func savedBehaviour(_ name: String, _ db: Database) throws -> Behaviour? {
        let json = try String.fetchOne(db, sql: "SELECT json FROM behaviours WHERE selector = ?", arguments: [name])
        return try json.map { try JSON.decode(Behaviour.self, from: $0) }
    }

    private static func save(_ behaviour: Behaviour, as name: String, _ db: Database) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO behaviours (selector, json) VALUES (?, ?)",
            arguments: [name, try JSON.encode(behaviour)])
    }
}

// MARK: - Statements

extension PeerLedger {
    private struct RequestCount: Decodable, FetchableRecord {
        let operation: String
        let requests: Int
        let recognised: Int
    }

    private struct EffectCount: Decodable, FetchableRecord {
        let operation: String
        let effects: Int
        let resources: Int
    }

    private struct DuplicateCount: Decodable, FetchableRecord {
        let operation: String
        let surplus: Int
    }

    private struct Condition {
        let sql: String
        let arguments: StatementArguments

        init(_ selector: OperationSelector?, resource: String?) {
            let operations = selector?.operations ?? PeerOperation.allCases
            let marks = operations.map { _ in "?" }.joined(separator: ", ")
            sql = "operation IN (\(marks))" + (resource == nil ? "" : " AND resource = ?")
            arguments = StatementArguments(operations.map(\.rawValue) + (resource.map { [$0] } ?? []))
        }
    }

    private static let requestCounts = """
        SELECT operation, COUNT(*) AS requests, SUM(outcome = 'replayed') AS recognised FROM requests GROUP BY operation
        """

    private static let effectCounts = """
        SELECT operation, COUNT(*) AS effects, COUNT(DISTINCT resource) AS resources FROM effects GROUP BY operation
        """

    private static let duplicateCounts = """
        SELECT operation, SUM(surplus) AS surplus FROM (
            SELECT operation, COUNT(*) - 1 AS surplus FROM effects WHERE undone = 0 GROUP BY operation, resource, distinction
        ) GROUP BY operation HAVING SUM(surplus) > 0
        """

    private static let version = 1

    private static func prepareSchema(_ db: Database) throws {
        let found = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard found <= version else { throw PeerError.ledgerFromTheFuture(version: found) }
        guard found < version else { return }
        try db.execute(
            sql: """
                CREATE TABLE effects (
                    id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, operation TEXT NOT NULL, resource TEXT NOT NULL,
                    distinction TEXT NOT NULL, cents INTEGER, idempotency_key TEXT, body_digest TEXT NOT NULL,
                    undone INTEGER NOT NULL DEFAULT 0
                );
                CREATE INDEX effects_of_resource ON effects (operation, resource);
                CREATE TABLE requests (
                    id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, operation TEXT NOT NULL, resource TEXT NOT NULL,
                    idempotency_key TEXT, attempt TEXT, outcome TEXT NOT NULL, status INTEGER,
                    effect INTEGER REFERENCES effects (id)
                );
                CREATE INDEX requests_of_resource ON requests (operation, resource);
                CREATE TABLE answers (
                    idempotency_key TEXT PRIMARY KEY NOT NULL, body_digest TEXT NOT NULL, status INTEGER NOT NULL,
                    json TEXT NOT NULL
                );
                CREATE TABLE behaviours (selector TEXT PRIMARY KEY NOT NULL, json TEXT NOT NULL);
                CREATE TABLE uses (vault_key TEXT PRIMARY KEY NOT NULL, uses INTEGER NOT NULL);
                PRAGMA user_version = \(version);
                """)
    }
}
