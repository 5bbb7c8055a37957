import Perdure
import PerdureHistory
import PerdureStore

/// Has one process at a time work for a consumer. Two at once, as after one that stood still, only tell things twice.
struct FollowerClaim: Sendable {
    static let length = Duration.seconds(10)

    private let key: ControlKey
    /// Nobody else's: what stands in the row while this process has it.
    private let owner: [UInt8]
    /// The revision of the row that this process has written.
    private var held: Int64?
    private var renewedAt: Duration = .zero
    /// Counts how often this process has taken the claim without having had it all the time: others may have worked in between.
    private(set) var tenure = 0
    /// Somebody else's row, and when it was seen first, on the clock of this process.
    private var seen: (row: ControlRow, at: Duration)?

    init(of consumer: String, owner: String) {
        key = ControlKey(FollowerMarks.kind(of: consumer), "claim")
        self.owner = Array(owner.utf8)
    }

    var isHeld: Bool { held != nil }

    /// Takes the claim if it is free or its time is over, and renews it.
    ///
    /// - Parameter elapsed: The time since some moment, by the clock of this process.
    /// - Returns: Whether this process has it.
    mutating func hold(in store: some Store, _ elapsed: Duration) async throws(StoreError) -> Bool {
        if held != nil, elapsed - renewedAt < Self.length / 3 { return true }
        let row = try await store.control(key)
        if let row, row.value != owner, !isOver(row, store.now(), elapsed) {
            held = nil
            return false
        }
        let due = store.now() + Self.length
        guard try await store.change(.put(key, on: row?.revision, value: owner, due: due)) else {
            held = nil
            return false
        }
        if held == nil || row?.revision != held { tenure += 1 }
        held = (row?.revision ?? 0) + 1
        (renewedAt, seen) = (elapsed, nil)
        return true
    }

    /// Its time has passed; or it has not changed for its whole time, by whatever clock it was written.
    private mutating func isOver(_ row: ControlRow, _ now: Timestamp, _ elapsed: Duration) -> Bool {
        if row.due.map({ $0 <= now }) ?? true { return true }
        guard let seen, seen.row == row else {
            self.seen = (row, elapsed)
            return false
        }
        return elapsed - seen.at > Self.length
    }

    /// It is not known whether this process still has it.
    mutating func interrupt() { held = nil }

    /// So that another one need not wait.
    func giveUp(in store: some Store) async {
        guard let held else { return }
        _ = try? await store.changeControl(.remove(key, on: held))
    }
}
