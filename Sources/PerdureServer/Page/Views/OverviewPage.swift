internal import Foundation
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

extension PageRoute {
    static let overview = [PageRoute(.get, "", .view) { .view(try await $0.overview()) }]
}

/// What runs, what waits for whom, what is stuck and why.
extension PageCall {
    private static let shown = 5
    private static let order: [RunState] = [
        .running, .ready, .waiting, .queued, .paused, .blocked, .parked, .quarantined, .completed, .failed, .cancelled,
        .terminated,
    ]

    fileprivate func overview() async throws -> PageView {
        let counts = try await client.counts(namespace: namespace)
        let asks = try await client.openRequests(RequestQuery(namespace: namespace, limit: Self.shown + 1))
        let (stuck, unread) = try await stuck(limit: Self.shown + 1)
        let nodes = try await client.nodes()
        var model = headline(counts, asks: asks.count, stuck: stuck.count + unread.count, nodes: nodes)
        model["states"] = .array(states(counts).map(JSONValue.object))
        model.offer("asks", asks.prefix(Self.shown).map(ask))
        model.offer("moreAsks", asks.count > Self.shown ? "All of them" : nil)
        model.offer("stuck", stuck.prefix(Self.shown).map(stuckItem))
        model.offer("moreStuck", stuck.count > Self.shown ? "All of them" : nil)
        try await addWorkflows(to: &model)
        // What belongs to no namespace is for those who see everything.
        let maySeeNodes = rights.allow(.administer, in: nil)
        model["maySeeNodes"] = .bool(maySeeNodes)
        addNodes(maySeeNodes ? nodes : [], to: &model)
        model.offer("queues", try await client.queues(in: namespace).map(Self.queue))
        return PageView(template: "overview", title: "Overview", place: .overview, freshness: .polled(2), model: model)
    }

    private func headline(_ counts: [String: Int], asks: Int, stuck: Int, nodes: [NodeStanding]) -> Model {
        let open = Self.order.filter { !$0.isFinal }.reduce(0) { $0 + (counts[$1.rawValue] ?? 0) }
        let broken = (counts["blocked"] ?? 0) + (counts["quarantined"] ?? 0)
        var parts: [String] = []
        let isIdle = nodes.allSatisfy(\.isOverdue)
        if isIdle { parts.append("no living process hosts this store, so that nothing moves") }
        if stuck > 0 { parts.append("some are parked until a person moves them") }
        if broken > 0 { parts.append("\(broken) \(broken == 1 ? "run is" : "runs are") blocked or quarantined") }
        if asks > 0 { parts.append("somebody is asked for a decision") }
        let tone = stuck > 0 || broken > 0 || isIdle ? "bad" : asks > 0 ? "ask" : "good"
        let all = "\(open) \(open == 1 ? "run is" : "runs are") open"
        let text =
            parts.isEmpty
            ? "\(all); none is parked or blocked, and nobody is asked for anything." : "\(all): \(parts.joined(separator: ", "))."
        return ["tone": .string(tone), "headline": .string(text)]
    }

    private func states(_ counts: [String: Int]) -> [Model] {
        Self.order.map { state in
            let count = counts[state.rawValue] ?? 0
            var tile = Self.state(state.rawValue)
            tile["count"] = JSONValue(count)
            tile["isSome"] = .bool(count > 0)
            tile["href"] = .string(Self.link("\(base)/runs", [("state", state.rawValue)]))
            return tile
        }
    }

    private func addWorkflows(to model: inout Model) async throws {
        let versions = try await client.versions(namespace: namespace)
        let workflows = Dictionary(grouping: versions, by: \.workflow).sorted { $0.key < $1.key }
        let recent = try await recentRuns.figures(namespace, client)
        let all = recent.values.reduce(0) { $0 + $1.completed }, atFirst = recent.values.reduce(0) { $0 + $1.atFirstAttempt }
        model["hasLatency"] = .bool(all > 0)
        model.offer(
            "firstAttempts",
            all == 0 ? nil : "\(atFirst) of the newest \(all) completed runs came through without a failed attempt")
        model.offer(
            "workflows",
            workflows.map { name, versions in
                func sum(_ states: [RunState]) -> Int {
                    versions.reduce(0) { sum, version in sum + states.reduce(0) { $0 + (version.runs[$1.rawValue] ?? 0) } }
                }
                let closed = sum([.completed, .failed, .cancelled, .terminated]), failed = sum([.failed])
                let figures = recent[name] ?? RecentRuns.Figures()
                let share = figures.completed > 0 ? Double(figures.atFirstAttempt) / Double(figures.completed) : nil
                return [
                    "name": .string(name), "href": .string(Self.link("\(base)/runs", [("workflow", name)])),
                    "open": JSONValue(sum(Self.order.filter { !$0.isFinal })), "closed": JSONValue(closed),
                    "failed": JSONValue(failed), "hasFailed": .bool(failed > 0),
                    "failedHref": .string(Self.link("\(base)/runs", [("workflow", name), ("state", "failed")])),
                    "hasRate": .bool(share != nil), "ratePercent": .string(share.map { "\(Int($0 * 100))" } ?? "0"),
                    "rateText": .string(share.map { "\(Int(($0 * 100).rounded(.down)))%" } ?? ""),
                    "p50": .string(figures.duration(below: 0.5).map(ReadableTime.span) ?? "–"),
                    "p95": .string(figures.duration(below: 0.95).map(ReadableTime.span) ?? "–"),
                ]
            })
    }

    private func addNodes(_ nodes: [NodeStanding], to model: inout Model) {
        let late = nodes.filter(\.isOverdue).count
        model["nodesTone"] = .string(nodes.isEmpty || late > 0 ? "bad" : "good")
        model["nodesText"] = .string(
            nodes.isEmpty ? "none" : late > 0 ? "\(late) of \(nodes.count) overdue" : "\(nodes.count) alive")
        model.offer(
            "nodes",
            nodes.prefix(Self.shown).map { node in
                let hosted = Set(node.registration.hosted.map(\.workflow)).count
                return [
                    "href": .string("\(base)/nodes"), "name": .string(node.registration.host),
                    "hosts": .string("\(hosted) \(hosted == 1 ? "workflow" : "workflows"), \(node.ownedRuns) runs in hand"),
                    "tone": .string(node.isOverdue ? "bad" : "good"), "standing": .string(node.isOverdue ? "overdue" : "alive"),
                    "seen": .string(node.renewedAt.map { PageTime.age($0, now: now) } ?? ""),
                ]
            })
    }

    private static func queue(_ queue: QueueInfo) -> Model {
        let places = queue.limits.concurrency
        return [
            "name": .string(queue.name), "limits": .string("\(places) at once"),
            "isFull": .bool(places > 0 && queue.held >= places),
            "isShut": .bool(queue.isClosed), "heldPercent": JSONValue(min(100, queue.held * 100 / max(1, places))),
            "heldText": .string("\(queue.held) of \(places)"), "waitingText": .string("\(queue.waiting) waiting"),
        ]
    }
}
