import CPostgres
import Foundation

/// A connection to PostgreSQL as a program would use it that has nothing else: libpq on the calling thread.
final class PlainServer {
    private let connection: OpaquePointer

    init(_ url: String) throws {
        guard let connection = PQconnectdb(url) else { throw BenchError("libpq has no memory for a connection") }
        self.connection = connection
        try BenchError.check(PQstatus(connection) == CONNECTION_OK, "PostgreSQL: \(failure)")
    }

    deinit { PQfinish(connection) }

    private var failure: String {
        String(cString: PQerrorMessage(connection)).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Runs statements without parameters, which are committed together.
    func run(_ sql: String) throws { try with(PQexec(connection, sql)) { _ in } }

    func prepare(_ name: String, _ sql: String, _ types: [UInt32]) throws {
        try with(PQprepare(connection, name, sql, Int32(types.count), types)) { _ in }
    }

    // MARK: Asking

    /// The first column of the only row.
    func integer(_ sql: String, _ parameters: String...) throws -> Int {
        guard let text = try rows(sql, parameters).first?.first, let number = Int(text) else {
            throw BenchError("PostgreSQL has not answered with a number")
        }
        return number
    }

    /// The rows as text; null is empty.
    func rows(_ sql: String, _ parameters: [String] = []) throws -> [[String]] {
        let texts = parameters.map { strdup($0) }
        defer { texts.forEach { free($0) } }
        let values = texts.map { UnsafePointer($0) }
        let result = PQexecParams(connection, sql, Int32(values.count), nil, values, nil, nil, 0)
        return try with(result) { result in
            (0..<PQntuples(result)).map { row in
                (0..<PQnfields(result)).map { column in String(cString: PQgetvalue(result, row, column)) }
            }
        }
    }

    /// The rows in the server's own format. Their bytes live as long as the process.
    func cells(_ sql: String) throws -> [[StoredCell]] {
        try with(PQexecParams(connection, sql, 0, nil, nil, nil, nil, 1)) { result in
            (0..<PQntuples(result)).map { row in
                (0..<PQnfields(result)).map { column in
                    guard PQgetisnull(result, row, column) == 0, let start = PQgetvalue(result, row, column) else { return .null }
                    let length = Int(PQgetlength(result, row, column))
                    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: length, alignment: 1)
                    copy.copyMemory(from: UnsafeRawBufferPointer(start: start, count: length))
                    return .blob(UnsafeRawBufferPointer(copy))
                }
            }
        }
    }

    /// Calls the body for every row as it comes: the values' sizes, and the first column as a number.
    func stream(_ sql: String, _ body: (_ first: Int64, _ bytes: Int) -> Void) throws {
        try check(PQsendQueryParams(connection, sql, 0, nil, nil, nil, nil, 1))
        try check(PQsetSingleRowMode(connection))
        while let result = PQgetResult(connection) {
            try with(result) { result in
                guard PQntuples(result) == 1 else { return }
                let first = PQgetvalue(result, 0, 0).map {
                    UnsafeRawPointer($0).loadUnaligned(as: Int64.self).bigEndian
                }
                body(first ?? 0, (0..<PQnfields(result)).reduce(0) { $0 + Int(PQgetlength(result, 0, $1)) })
            }
        }
    }

    /// What the tables of a schema take with their indexes, once what is dead has been taken away, as the server does by and by.
    func bytesOnDisk(schema: String) throws -> Int {
        for table in try rows("SELECT tablename FROM pg_tables WHERE schemaname = '\(schema)'") {
            try run("VACUUM \(schema).\(table[0])")
        }
        return try integer(
            "SELECT coalesce(sum(pg_total_relation_size(format('%I.%I', schemaname, tablename)::regclass)), 0)::bigint FROM pg_tables WHERE schemaname = $1",
            schema)
    }

    // MARK: Writing

    /// Executes prepared statements in one round trip. Several share a transaction.
    func execute(_ calls: [PreparedCall]) throws {
        guard calls.count != 1 else {
            try send(calls[0])
            return try finish()
        }
        try check(PQenterPipelineMode(connection))
        try check(PQsendQueryParams(connection, "BEGIN", 0, nil, nil, nil, nil, 1))
        for call in calls { try send(call) }
        try check(PQsendQueryParams(connection, "COMMIT", 0, nil, nil, nil, nil, 1))
        try check(PQpipelineSync(connection))
        // Each statement answers with a result and a null; the last answer is the pipeline's own.
        for _ in 0..<(calls.count + 2) { try finish() }
        try with(PQgetResult(connection)) { _ in }
        try check(PQexitPipelineMode(connection))
    }

    private func send(_ call: PreparedCall) throws {
        let starts = call.values.map { UnsafePointer($0.baseAddress?.assumingMemoryBound(to: CChar.self)) }
        let lengths = call.values.map { Int32($0.count) }
        let formats = [Int32](repeating: 1, count: call.values.count)
        try check(PQsendQueryPrepared(connection, call.name, Int32(call.values.count), starts, lengths, formats, 1))
    }

    private func finish() throws {
        while let result = PQgetResult(connection) { try with(result) { _ in } }
    }

    private func check(_ isDone: Int32) throws { try BenchError.check(isDone == 1, "PostgreSQL: \(failure)") }

    @discardableResult
    private func with<Result>(_ result: OpaquePointer?, _ body: (OpaquePointer) throws -> Result) throws -> Result {
        guard let result else { throw BenchError("PostgreSQL: \(failure)") }
        defer { PQclear(result) }
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_SINGLE_TUPLE, PGRES_PIPELINE_SYNC: return try body(result)
        default: throw BenchError("PostgreSQL: \(String(cString: PQresultErrorMessage(result)))")
        }
    }
}

/// A prepared statement with its values in the server's own format. Their bytes have to stay where they are until it has been sent.
struct PreparedCall {
    var name: String
    var values: [UnsafeRawBufferPointer]
}
