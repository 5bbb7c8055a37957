internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

extension PageRoute {
    static let nodes = [PageRoute(.get, "/nodes", .administer, isEverywhere: true) { .view(try await $0.nodesPage()) }]
}

extension PageCall {
    fileprivate func nodesPage() async throws -> PageView {
        let nodes = try await client.nodes()
        let lead =
            nodes.isEmpty ? "" : nodes.count == 1 ? "One process hosts this store." : "\(nodes.count) processes host this store."
        var model: Model = ["lead": .string(lead)]
        model.offer("nodes", nodes.map(card))
        return PageView(template: "nodes", title: "Nodes", place: .nodes, freshness: .polled(3), model: model)
    }

    private func card(_ node: NodeStanding) -> Model {
        let registration = node.registration
        var card: Model = [
            "node": .string(registration.id.rawValue), "host": .string(registration.host),
            "process": .string("process \(registration.processID)"), "tone": .string(node.isOverdue ? "bad" : "good"),
            "standing": .string(node.isOverdue ? "overdue" : "alive"), "runsText": .string("\(node.ownedRuns) runs in hand"),
            "hosted": .array(registration.hosted.map { .string("\($0.workflow) \($0.version)") }),
            "hasRenewed": .bool(node.renewedAt != nil), "renewedAt": node.renewedAt.map(JSONValue.init(time:)) ?? "",
            "renewedText": .string(node.renewedAt.map { PageTime.age($0, now: now) } ?? ""), "build": .string(registration.build),
            "isOverdue": .bool(node.isOverdue),
        ]
        card.set(node.since, as: "sinceAt", text: "sinceText")
        card.offer("trouble", node.isOverdue ? "Its lease is over: others take its runs over." : nil)
        return card
    }
}
