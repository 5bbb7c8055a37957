package import PerdureStore

/// Stands between the processes of a simulation and their store: sees every call, and decides what becomes of commits. It may end the
/// process at any of them.
package protocol StoreGate: Sendable {
    func willCall(_ call: StaticString, by process: SimulatedProcess)
    /// Called before each call; what it throws comes back in place of the store's answer.
    func reach(_ call: StaticString, by process: SimulatedProcess) async throws(StoreError)
    func commit(_ items: [CommitItem], _ base: any Store, by process: SimulatedProcess) async throws(StoreError) -> [CommitResult]
}

extension StoreGate {
    package func reach(_ call: StaticString, by process: SimulatedProcess) async throws(StoreError) {}
}
