internal import Perdure
internal import PerdureHistory

/// Makes a delivery of each event that an endpoint wants. Which endpoints there are is read after the event was committed, so that one
/// that was made before an event is told of it. One that was made after it is not: whoever follows histories begins far back.
struct HookMaker: Sendable {
    let store: HookStore

    /// Returns when every delivery is durable. To be called again with the same events if it throws, and whenever it is not known whether
    /// it has returned: what is there already is left as it is.
    ///
    /// - Throws: `PerdureError` with the store's code.
    func make(of news: [HookNews]) async throws {
        for (namespace, news) in Dictionary(grouping: news.filter { $0.kind != nil }, by: \.namespace) {
            let endpoints = try await store.all(Endpoint.kind, in: namespace, as: Endpoint.self).map(\.record)
            for one in news {
                guard let kind = one.kind else { continue }
                for endpoint in endpoints where endpoint.wants(kind, of: one.workflow, at: one.event.at) {
                    _ = try await store.write(
                        HookDelivery(
                            namespace: namespace, endpoint: endpoint.id, id: one.id, type: kind.rawValue,
                            run: one.run.description, seq: one.event.seq, body: one.body(kind), made: store.now()), on: nil)
                }
            }
        }
    }
}
