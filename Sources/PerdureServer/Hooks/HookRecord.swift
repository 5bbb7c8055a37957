internal import HTTPTypes
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// Something of webhooks that is kept in a row of control.
protocol HookRecord: Sendable {
    var key: ControlKey { get }
    /// When something is to be done about it.
    var due: Timestamp? { get }
    var json: JSONValue { get }
    /// nil for what no release has written.
    init?(_ json: JSONValue)
}

/// A record with the row that it was read from, on top of which it is changed.
struct Held<Record: HookRecord>: Sendable {
    var record: Record
    let row: ControlRow
}

/// The rows of webhooks. A client that is confined to a namespace sees none of them: what keeps tenants apart is that every key begins
/// with the namespace of the address that was asked for.
struct HookStore: Sendable {
    private static let tries = 20
    private static let pageSize = 500

    /// Of the whole store.
    let client: Client
    let now: @Sendable () -> Timestamp

    func read<Record: HookRecord>(_ key: ControlKey, as type: Record.Type = Record.self) async throws -> Held<Record>? {
        try await client.guarded { try await client.store.control(key) }.flatMap(Held.init)
    }

    /// Those of one kind in a namespace, by their keys; and the key behind which there may be more.
    func page<Record: HookRecord>(
        _ kind: String, in namespace: String, after: String?, limit: Int, as type: Record.Type = Record.self
    ) async throws -> (records: [Held<Record>], next: String?) {
        let prefix = "\(namespace)/"
        let rows = try await client.guarded {
            try await client.store.controls(.all(kind: kind, after: after ?? prefix, limit: limit))
        }
        let own = rows.filter { $0.key.key.hasPrefix(prefix) }
        return (own.compactMap(Held.init), own.count == limit ? own.last?.key.key : nil)
    }

    /// All of one kind, or those of one namespace.
    func all<Record: HookRecord>(
        _ kind: String, in namespace: String? = nil, as type: Record.Type = Record.self
    ) async throws -> [Held<Record>] {
        let prefix = namespace.map { "\($0)/" } ?? ""
        var all: [Held<Record>] = [], after = prefix.isEmpty ? nil : prefix
        while true {
            let rows = try await client.guarded { [after] in
                try await client.store.controls(.all(kind: kind, after: after, limit: Self.pageSize))
            }
            let own = rows.filter { $0.key.key.hasPrefix(prefix) }
            all += own.compactMap(Held.init)
            guard own.count == Self.pageSize, let last = own.last else { return all }
            after = last.key.key
        }
    }

    func due<Record: HookRecord>(
        _ kind: String, by time: Timestamp, limit: Int, as type: Record.Type = Record.self
    ) async throws -> [Held<Record>] {
        try await client.guarded { try await client.store.controls(.due(kind: kind, by: time, limit: limit)) }.compactMap(
            Held.init)
    }

    /// - Returns: What stands there now; nil if somebody else has changed it.
    func write<Record: HookRecord>(_ record: Record, on held: Held<Record>?) async throws -> Held<Record>? {
        let change = ControlChange.put(
            record.key, on: held?.row.revision, value: record.json.canonicalBytes, due: record.due)
        guard try await client.guarded({ try await client.store.changeControl(change) }), let row = change.row else { return nil }
        return Held(record: record, row: row)
    }

    /// - Returns: False if somebody else has changed it.
    @discardableResult
    func remove<Record: HookRecord>(_ held: Held<Record>) async throws -> Bool {
        let change = ControlChange.remove(held.row.key, on: held.row.revision)
        return try await client.guarded { try await client.store.changeControl(change) }
    }

    /// Removes all rows of a kind.
    func clear(_ kind: String) async throws {
        while try await client.guarded({
            try await client.store.removeControls(kind: kind, dueBy: .distantFuture, limit: Self.pageSize)
        }) == Self.pageSize {}
    }

    /// Changes a record, whoever else changes it meanwhile.
    ///
    /// - Parameter edit: May be called several times; false leaves it as it is.
    /// - Returns: What stands there then; nil if there is none.
    func change<Record: HookRecord>(
        _ key: ControlKey, as type: Record.Type = Record.self, _ edit: (inout Record) throws -> Bool
    ) async throws -> Record? {
        for _ in 0..<Self.tries {
            guard let held = try await read(key, as: type) else { return nil }
            var record = held.record
            guard try edit(&record) else { return held.record }
            if let changed = try await write(record, on: held) { return changed.record }
        }
        var problem = Problem(.serviceUnavailable, "store_unavailable", "Others keep changing this. Try again soon.")
        problem.retryAfter = .seconds(1)
        throw problem
    }
}

extension Held {
    fileprivate init?(_ row: ControlRow) {
        guard let json = try? JSONValue.parse(row.value, what: "a record"), let record = Record(json), record.key == row.key
        else {
            return nil
        }
        self.init(record: record, row: row)
    }
}

extension Principal {
    var hookJSON: JSONValue {
        ["kind": .string(kind.rawValue), "id": .string(id), "authentication": .string(authentication)]
    }

    init?(hookJSON json: JSONValue?) {
        guard let kind = json?["kind"]?.stringValue.flatMap(Principal.Kind.init), let id = json?["id"]?.stringValue,
            let authentication = json?["authentication"]?.stringValue
        else { return nil }
        self.init(kind, id, authentication: authentication)
    }
}
