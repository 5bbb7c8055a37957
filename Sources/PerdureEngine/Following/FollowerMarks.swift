import Perdure
import PerdureHistory
import PerdureStore

/// Up to which event of a run its consumer was told.
struct FollowerMark: Hashable, Sendable {
    /// 0 before the first.
    var seq: Int64
    /// The beginning of that event's hash, so that a history which was put back and went on in another way is not taken for the same.
    var hash: String

    static let beginning = FollowerMark(seq: 0, hash: "")

    init(seq: Int64, hash: String) {
        self.seq = seq
        self.hash = hash
    }

    init(_ event: Event) { self.init(seq: event.seq, hash: String(event.hash.description.prefix(16))) }
}

/// What a consumer was told of, as far as the store knows it, and what has changed since.
///
/// Rows are changed only on top of what was read, and by who has the claim: who stood still while others went on writes nothing any more.
struct FollowerMarks: Sendable {
    /// The run up to whose number all are known, also those that were not to be seen at first.
    struct Place: Hashable, Sendable {
        var number: Int64
        /// When that run was made, so that one that gets its number anew is told from it.
        var madeAt: Timestamp
    }

    private struct Chunk: Sendable {
        var revision: Int64?
        var runs: [Int64: FollowerMark] = [:]
        var isChanged = false
    }

    /// How many neighbouring numbers share a row.
    static let chunkSize: Int64 = 250
    /// A row without runs stays as long as runs with its numbers may still come to be seen: made anew, it would have revisions that it had
    /// before, and somebody who stood still would take it for the one that they have read.
    private static let chunksKept: Int64 = 400
    private static let placeKey = "place", chunkPrefix = "runs/"

    private let kind: String
    private var chunks: [Int64: Chunk] = [:]
    private(set) var place: Place?
    private var placeRevision: Int64?
    private var isPlaceChanged = false
    /// Chunks whose rows could not be read: what they said is not known.
    private(set) var damaged: [Int64] = []

    static func kind(of consumer: String) -> String { "following.\(consumer)" }

    init(of consumer: String, in store: some Store) async throws(StoreError) {
        kind = Self.kind(of: consumer)
        if let row = try await store.control(ControlKey(kind, Self.placeKey)) {
            placeRevision = row.revision
            place = try Self.place(row)
        }
        var last = Self.chunkPrefix
        while true {
            let page = try await store.controls(.all(kind: kind, after: last, limit: 100))
            for row in page where row.key.key.hasPrefix(Self.chunkPrefix) { take(row) }
            guard let end = page.last?.key.key, end.hasPrefix(Self.chunkPrefix) else { return }
            last = end
        }
    }

    // MARK: What is known

    /// Chunks with runs, in their order, so many that they have at least `limit` runs together, or all that are left.
    func numbers(after chunk: Int64?, limit: Int, _ order: [Int64]) -> (runs: [Int64], last: Int64?) {
        var runs: [Int64] = [], last: Int64?
        let start = chunk.map { chunk in order.partitioningIndex { $0 > chunk } } ?? 0
        for key in order[start...] {
            guard let chunk = chunks[key] else { continue }
            if !runs.isEmpty, runs.count + chunk.runs.count > limit { break }
            runs += chunk.runs.keys
            last = key
        }
        return (runs.sorted(), last)
    }

    var chunkOrder: [Int64] { chunks.keys.sorted() }
    var count: Int { chunks.values.reduce(0) { $0 + $1.runs.count } }

    subscript(run: Int64) -> FollowerMark? {
        get { chunks[run / Self.chunkSize]?.runs[run] }
        set {
            let key = run / Self.chunkSize
            guard chunks[key]?.runs[run] != newValue else { return }
            chunks[key, default: Chunk()].runs[run] = newValue
            chunks[key]?.isChanged = true
        }
    }

    mutating func move(to place: Place) {
        guard place != self.place else { return }
        self.place = place
        isPlaceChanged = true
    }

    mutating func forgetDamage() { damaged = [] }

    // MARK: Writing

    /// Writes what has changed; the place last, since it says that the runs before it stand in their rows.
    ///
    /// - Returns: False if somebody else has written: nothing here counts any more.
    mutating func save(in store: some Store) async throws(StoreError) -> Bool {
        let oldest = (place?.number ?? 0) / Self.chunkSize - Self.chunksKept
        for (key, chunk) in chunks where chunk.isChanged || chunk.runs.isEmpty && key < oldest {
            let row = ControlKey(kind, Self.name(of: key))
            if chunk.runs.isEmpty, key < oldest {
                if let revision = chunk.revision {
                    guard try await store.change(.remove(row, on: revision)) else { return false }
                }
                chunks[key] = nil
            } else {
                guard try await store.change(.put(row, on: chunk.revision, value: Self.bytes(chunk.runs))) else { return false }
                chunks[key]?.revision = (chunk.revision ?? 0) + 1
                chunks[key]?.isChanged = false
            }
        }
        guard isPlaceChanged, let place else { return true }
        let value = JSONValue.object(["number": .init(Int(place.number)), "made_at": .init(Int(place.madeAt.microseconds))])
        let put = ControlChange.put(ControlKey(kind, Self.placeKey), on: placeRevision, value: value.canonicalBytes)
        guard try await store.change(put) else { return false }
        placeRevision = (placeRevision ?? 0) + 1
        isPlaceChanged = false
        return true
    }

    /// Keys compare as bytes.
    private static func name(of chunk: Int64) -> String {
        let digits = String(chunk)
        return chunkPrefix + String(repeating: "0", count: max(0, 19 - digits.count)) + digits
    }

    private static func bytes(_ runs: [Int64: FollowerMark]) -> [UInt8] {
        JSONValue.array(
            runs.sorted { $0.key < $1.key }.map { run, mark in
                .array([.init(Int(run)), .init(Int(mark.seq)), .string(mark.hash)])
            }
        ).canonicalBytes
    }

    // MARK: Reading

    private static func place(_ row: ControlRow) throws(StoreError) -> Place {
        guard let value = try? JSONValue.parse(row.value), let number = value["number"]?.integerValue,
            let madeAt = value["made_at"]?.integerValue
        else { throw .corrupt("the row '\(row.key.key)' of '\(row.key.kind)' is not what was written") }
        return Place(number: number, madeAt: Timestamp(microseconds: madeAt))
    }

    private mutating func take(_ row: ControlRow) {
        guard let key = Int64(row.key.key.dropFirst(Self.chunkPrefix.count)) else { return }
        var chunk = Chunk(revision: row.revision)
        for entry in (try? JSONValue.parse(row.value))?.arrayValue ?? [.null] {
            guard let parts = entry.arrayValue, parts.count == 3, let run = parts[0].integerValue, run / Self.chunkSize == key,
                let seq = parts[1].integerValue, seq >= 0, let hash = parts[2].stringValue
            else {
                damaged.append(key)
                break
            }
            chunk.runs[run] = FollowerMark(seq: seq, hash: hash)
        }
        chunks[key] = chunk
    }
}

extension Store {
    /// Asks again where the answer was lost: what stands there already is not changed twice.
    func change(_ change: ControlChange) async throws(StoreError) -> Bool {
        for _ in 0..<3 {
            do throws(StoreError) {
                return try await changeControl(change)
            } catch {
                guard case .outcomeUnknown = error else { throw error }
            }
        }
        return try await changeControl(change)
    }
}

extension Array {
    /// The first place from which on the condition holds; it must hold for all behind it.
    fileprivate func partitioningIndex(where condition: (Element) -> Bool) -> Int {
        var low = 0, high = count
        while low < high {
            let middle = (low + high) / 2
            if condition(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
