import Foundation
import GRDB
import Perdure
import PerdureHistory

/// The tables of a store without their rules, so that whatever a damaged file can hold can be put there.
enum LooseTables {
    /// A store that nobody has open.
    static func loosen(_ path: String) throws {
        try use(path) { database in
            try database.execute(
                sql: """
                    PRAGMA journal_mode = DELETE;
                    PRAGMA writable_schema = ON;
                    UPDATE sqlite_schema SET sql = replace(replace(sql, ') STRICT', ')'), '), WITHOUT', ') WITHOUT')
                        WHERE type = 'table';
                    UPDATE sqlite_schema SET sql = replace(sql, ' ANY', ' BLOB') WHERE type = 'table';
                    UPDATE sqlite_schema SET sql = replace(replace(replace(sql, 'IS NOT NULL', '!'), ' NOT NULL', ''), '!', 'IS NOT NULL')
                        WHERE type = 'table';
                    PRAGMA writable_schema = OFF;
                    """)
        }
    }

    static func columns(_ path: String) throws -> [(table: String, name: String)] {
        try use(path) { database in
            let tables = try String.fetchAll(
                database, sql: "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
            return try tables.flatMap { table in
                try String.fetchAll(database, sql: "SELECT name FROM pragma_table_info(?) ORDER BY cid", arguments: [table])
                    .map { (table, $0) }
            }
        }
    }

    static func use<Result>(_ path: String, _ body: (Database) throws -> Result) throws -> Result {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        defer { try? queue.close() }
        return try queue.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA ignore_check_constraints = ON")
            return try body(database)
        }
    }

    /// Puts something else into one row of the column, or into all.
    /// - Returns: what was done.
    static func change(_ column: (table: String, name: String), in path: String, _ damage: inout Damage) throws -> String {
        let (table, name) = (column.table, column.name)
        return try use(path) { database in
            let count = try Int.fetchOne(database, sql: "SELECT count(*) FROM \"\(table)\"") ?? 0
            let row = damage.number(below: count)
            let old = try DatabaseValue.fetchOne(database, sql: "SELECT \"\(name)\" FROM \"\(table)\" LIMIT 1 OFFSET \(row)")
            let (sql, value) = damage.column(old ?? .null)
            // By its old value: a table may have no row numbers.
            let place =
                damage.chance(4) ? "" : "WHERE \"\(name)\" IS (SELECT \"\(name)\" FROM \"\(table)\" LIMIT 1 OFFSET \(row))"
            // A key that stands twice is refused by the index, which is a rule of the file, and no damage.
            try? database.execute(
                sql: "UPDATE OR IGNORE \"\(table)\" SET \"\(name)\" = \(sql) \(place)",
                arguments: [value])
            return "\(table).\(name) = \(value.description.prefix(60)) \(place.isEmpty ? "everywhere" : "")"
        }
    }

    /// Puts something else into the column of one of the rows that belong to a run.
    /// - Returns: what was done; nil if the run has no such row.
    static func change(
        _ table: String, _ column: String, ofRun run: Int64, in path: String, _ damage: inout Damage
    ) throws -> String? {
        try use(path) { database in
            let owner = table == "runs" ? "number" : "run"
            let rows = try Int64.fetchAll(
                database, sql: "SELECT rowid FROM \"\(table)\" WHERE \(owner) = ? ORDER BY rowid", arguments: [run])
            guard !rows.isEmpty else { return nil }
            let row = damage.pick(rows)
            func current() throws -> String? {
                try String.fetchOne(
                    database,
                    sql: """
                        SELECT CASE WHEN "\(column)" IS NULL THEN 'null' ELSE hex(CAST("\(column)" AS BLOB)) END
                        FROM "\(table)" WHERE rowid = ?
                        """,
                    arguments: [row])
            }
            let before = try current()
            let old = try DatabaseValue.fetchOne(
                database, sql: "SELECT \"\(column)\" FROM \"\(table)\" WHERE rowid = ?", arguments: [row])
            // What the index refuses, or comes to the same bytes, is no damage.
            for _ in 0..<100 where try current() == before {
                let (sql, value) = damage.column(old ?? .null)
                try? database.execute(
                    sql: "UPDATE OR IGNORE \"\(table)\" SET \"\(column)\" = \(sql) WHERE rowid = ?", arguments: [value, row])
                guard try current() != before else { continue }
                return "\(table).\(column) of run number \(run), row \(row): \(value.description.prefix(60))"
            }
            throw Unchanged(column: "\(table).\(column)")
        }
    }

    struct Unchanged: Error { let column: String }
}

extension Damage {
    /// What to put where this stands: an expression, and the value that it has a place for.
    mutating func column(_ old: DatabaseValue) -> (sql: String, value: DatabaseValue) {
        switch number(below: 8) {
        case 0: return ("?", .null)
        case 1: return ("?", integer().databaseValue)
        case 2: return ("?", text().databaseValue)
        case 3: return ("?", Double(bitPattern: next()).databaseValue)
        case 4:
            return (
                "CAST(? AS TEXT)",
                Data((0..<number(below: 40)).map { _ in UInt8.random(in: 0...255, using: &self) }).databaseValue
            )
        case 5: return ("?", Data(json().canonicalBytes).databaseValue)
        default: return nearby(old)
        }
    }

    /// Something like what stands there.
    private mutating func nearby(_ old: DatabaseValue) -> (sql: String, value: DatabaseValue) {
        switch old.storage {
        case .int64(let number): return ("?", (chance(2) ? number &+ 1 : number &- 1).databaseValue)
        case .string(let text):
            if let value = try? JSONValue.parse(Array(text.utf8)), !chance(3) {
                return ("?", damaged(value).canonicalText.databaseValue)
            }
            return ("CAST(? AS TEXT)", Data(damaged(Array(text.utf8))).databaseValue)
        case .blob(let data): return ("?", Data(damaged(Array(data))).databaseValue)
        case .null, .double: return ("?", json().canonicalText.databaseValue)
        }
    }
}
