import Perdure
package import PerdureHistory

/// The name of a schedule: both parts are identifiers.
package struct ScheduleKey: Sendable, Hashable {
    package var namespace: String
    package var id: String

    package init(namespace: String, id: String) {
        self.namespace = namespace
        self.id = id
    }
}

/// A schedule's row. What it says is the engine's affair; the store keeps it and finds the ones that are due.
package struct ScheduleRow: Sendable, Hashable {
    package var key: ScheduleKey
    /// Grows with each change.
    package var version: Int64
    /// When an engine has to look at it; nil as long as there is nothing to do.
    package var dueAt: Timestamp?
    /// Canonical JSON: what it starts and when, and how far it has come. Says `due` as the row does, in microseconds.
    package var document: String

    package init(key: ScheduleKey, version: Int64, dueAt: Timestamp?, document: String) {
        self.key = key
        self.version = version
        self.dueAt = dueAt
        self.document = document
    }

    /// The version of what is put in its place. A row that was changed by hand may have the last one that there is: then this is no
    /// greater, and the change is refused.
    package var nextVersion: Int64 { version == .max ? version : version + 1 }

    /// Texts are the same only byte by byte.
    package static func == (left: ScheduleRow, right: ScheduleRow) -> Bool {
        left.key == right.key && left.version == right.version && left.dueAt == right.dueAt
            && left.document.utf8.elementsEqual(right.document.utf8)
    }

    /// What is wrong with it, as sentences.
    package var breaches: [String] {
        let name = "the schedule '\(key.id)' of '\(key.namespace)'".legible
        guard let object = try? JSONValue.parse(Array(document.utf8), what: "a schedule"), case .object = object else {
            return ["\(name) cannot be read"]
        }
        guard object["due"]?.integerValue == dueAt?.microseconds else { return ["\(name) is due at another time than it says"] }
        return []
    }
}

/// A change of a schedule, with all that follows from it, in one: of several that stand on the same version one is applied.
package struct ScheduleChange: Sendable {
    package var key: ScheduleKey
    /// The version that it stands on; nil if there must be none yet.
    package var expected: Int64?
    /// What stands there afterwards, with a greater version; nil if nothing does.
    package var row: ScheduleRow?
    /// Runs that begin with it, each with a key of its own. If one of their keys is taken, nothing is done.
    package var starts: [NewRun]
    /// Messages to runs. One that is closed or gone is not told.
    package var deliveries: [Delivery]

    package init(
        _ key: ScheduleKey, on expected: Int64?, to row: ScheduleRow?, starts: [NewRun] = [], deliveries: [Delivery] = []
    ) {
        self.key = key
        self.expected = expected
        self.row = row
        self.starts = starts
        self.deliveries = deliveries
    }

    /// What keeps any store from it, whatever stands there.
    package var flaw: String? {
        guard Name.isIdentifier(key.namespace), Name.isIdentifier(key.id) else { return "a schedule's name is no identifier" }
        if let row {
            guard row.key == key, row.version > expected ?? 0 else { return "a schedule keeps its name, and its version grows" }
            if let breach = row.breaches.first { return breach }
            if row.document.utf8.contains(0) { return "a schedule has a NUL" }
        }
        var keys: Set<String> = [], ids: Set<RunID> = []
        for start in starts {
            let record = start.record
            guard let key = record.key, keys.insert("\(record.workflow)\n\(key)").inserted, ids.insert(record.id).inserted else {
                return "what a schedule starts has a key and an id of its own"
            }
            guard record.owner == nil, record.state == (start.place == nil ? .ready : .queued), record.origin == nil,
                record.namespace == self.key.namespace
            else { return "what a schedule starts begins ready, or queued in its place, without an owner, in its namespace" }
            if let flaw = start.flawOfPlace { return flaw }
            guard let first = start.events.first, first.seq == 1,
                zip(start.events, start.events.dropFirst()).allSatisfy({ $1.seq == $0.seq + 1 })
            else { return "a new run needs its first event, and the others in sequence" }
        }
        return nil
    }

    /// What the change is to what stands there.
    package enum Standing: Sendable {
        case open
        /// It was applied before, and its answer got lost.
        case applied
        /// Somebody else was faster.
        case overtaken
    }

    package func standing(on current: ScheduleRow?) -> Standing {
        if current == row { return .applied }
        return current?.version == expected ? .open : .overtaken
    }
}

/// A place in the order in which schedules are due.
package struct SchedulePlace: Sendable, Hashable, Comparable {
    package var at: Timestamp
    package var key: ScheduleKey

    package init(at: Timestamp, key: ScheduleKey) {
        self.at = at
        self.key = key
    }

    /// Behind all that are due at that time.
    package static func behind(_ time: Timestamp) -> SchedulePlace {
        SchedulePlace(at: time + .microseconds(1), key: ScheduleKey(namespace: "", id: ""))
    }

    package static func < (left: SchedulePlace, right: SchedulePlace) -> Bool {
        (left.at, left.key) < (right.at, right.key)
    }
}

extension ScheduleKey: Comparable {
    package static func < (left: ScheduleKey, right: ScheduleKey) -> Bool {
        // By bytes, as databases do it. Names are ASCII.
        if left.namespace != right.namespace { return left.namespace.utf8.lexicographicallyPrecedes(right.namespace.utf8) }
        return left.id.utf8.lexicographicallyPrecedes(right.id.utf8)
    }
}

/// Which schedules to read.
package enum ScheduleQuery: Sendable, Hashable {
    case one(ScheduleKey)
    /// By name, those of one namespace or all, behind a name.
    case listed(namespace: String?, after: ScheduleKey?, limit: Int)
    /// In the order in which they are due, behind a place.
    case due(after: SchedulePlace?, by: Timestamp, limit: Int)
}
