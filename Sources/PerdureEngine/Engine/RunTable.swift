import DequeModule
import Perdure
import PerdureStore

/// The runs that are in memory: those that are owned, and a limited number of those that only wait.
struct RunTable {
    private struct Resident {
        let activation: Activation
        /// The epoch under which it was owned last.
        var epoch: Int64
        var isOwned: Bool
        var stamp: UInt64
    }

    private var residents: [Int64: Resident] = [:]
    private var idle = Deque<(number: Int64, stamp: UInt64)>()
    private var lastStamp: UInt64 = 0
    private(set) var ownedCount = 0
    private(set) var idleCount = 0

    subscript(number: Int64) -> Activation? { residents[number]?.activation }

    func isOwned(_ number: Int64) -> Bool { residents[number]?.isOwned ?? false }

    var count: Int { residents.count }
    var owned: [Activation] { residents.filter(\.value.isOwned).sorted { $0.key < $1.key }.map(\.value.activation) }
    var all: [Activation] { residents.sorted { $0.key < $1.key }.map(\.value.activation) }

    /// Notes that a run is owned and in memory, or about to be.
    mutating func own(_ activation: Activation, epoch: Int64) {
        if let resident = residents[activation.number] {
            if resident.isOwned { ownedCount -= 1 } else { idleCount -= 1 }
        }
        lastStamp += 1
        residents[activation.number] = Resident(activation: activation, epoch: epoch, isOwned: true, stamp: lastStamp)
        ownedCount += 1
    }

    /// Notes that a run was given up under this epoch and only waits. Returns those that have to leave memory so that no more than
    /// `limit` are kept. A run that was claimed again before its release was heard of is owned, and stays.
    mutating func idle(_ activation: Activation, epoch: Int64, limit: Int) -> [Activation] {
        guard let resident = residents[activation.number], resident.activation === activation, resident.isOwned,
            resident.epoch == epoch
        else { return [] }
        lastStamp += 1
        residents[activation.number]?.isOwned = false
        residents[activation.number]?.stamp = lastStamp
        ownedCount -= 1
        idleCount += 1
        idle.append((activation.number, lastStamp))
        var leaving: [Activation] = []
        while idleCount > limit, let oldest = idle.popFirst() {
            guard let resident = residents[oldest.number], !resident.isOwned, resident.stamp == oldest.stamp else { continue }
            residents[oldest.number] = nil
            idleCount -= 1
            leaving.append(resident.activation)
        }
        // Stamps of runs that were woken meanwhile would pile up otherwise.
        if idle.count > 2 * idleCount + 64 {
            idle.removeAll { entry in residents[entry.number].map { $0.isOwned || $0.stamp != entry.stamp } ?? true }
        }
        return leaving
    }

    /// Forgets a run, if it is this activation that is in memory.
    mutating func remove(_ activation: Activation) {
        guard let resident = residents[activation.number], resident.activation === activation else { return }
        if resident.isOwned { ownedCount -= 1 } else { idleCount -= 1 }
        residents[activation.number] = nil
    }
}
