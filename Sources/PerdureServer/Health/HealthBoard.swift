internal import Foundation
internal import Perdure
package import PerdureEngine
package import PerdureHistory
internal import Synchronization

/// What is known at this moment of the process, its store and its work. Whoever finds something out notes it; whoever asks gets it told
/// without waiting for anybody.
package final class HealthBoard: Sendable {
    package enum Phase: Sendable, Hashable {
        /// The store has not been opened yet.
        case opening
        case serving
        /// The process was told to end.
        case ending
    }

    /// How the store has answered when it was asked last.
    package struct StoreStanding: Sendable {
        /// On this machine's clock.
        package var answeredAt: Timestamp?
        /// Why it did not, if it did not.
        package var problem: String?
        /// By how much the store's clock is ahead of this machine's.
        package var clockDifference = Duration.zero
        /// By how much the schedule is late that should have started something first.
        package var schedulesLate = Duration.zero
        /// What shows that the store's history went back, as long as it is not recovered.
        package var loss: String?
        package init() {}
    }

    package struct State: Sendable {
        package var phase = Phase.opening
        package var store = StoreStanding()
        package var node: String?
        package var upkeep: Upkeep?
        package var stranded: [VersionInfo] = []
        /// How many runs are, counted together with what is stranded.
        package var quarantined = 0
        package init() {}
    }

    private let mutex = Mutex(State())

    package init() {}

    package var state: State { mutex.withLock { $0 } }

    func change(_ body: (inout State) -> Void) { mutex.withLock { body(&$0) } }

    /// Returns whether that has to be said: before, it had worked or was not known.
    func storeFailed(_ problem: String) -> Bool {
        mutex.withLock { state in
            defer { state.store.problem = problem }
            return state.store.problem == nil
        }
    }

    /// Returns whether that has to be said: before, it had not worked.
    func storeAnswered(_ standing: StoreStanding) -> Bool {
        mutex.withLock { state in
            defer { state.store = standing }
            return state.store.problem != nil
        }
    }
}
