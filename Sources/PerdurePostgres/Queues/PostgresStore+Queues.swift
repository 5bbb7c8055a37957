package import Perdure
package import PerdureStore

extension PostgresStore {
    package func admit() async throws(StoreError) -> Admission { Admission() }
    package func setQueue(_ queue: QueueKey, _ limits: QueueLimits, by sender: Principal) async throws(StoreError) {
        throw .unavailable("this store has no queues yet")
    }
    package func queues(namespace: String?) async throws(StoreError) -> [QueueStanding] { [] }
    package func queuePosition(of run: Int64) async throws(StoreError) -> QueuePosition? { nil }
}
