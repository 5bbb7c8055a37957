internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

extension PageRoute {
    static let workflows = [PageRoute(.get, "/workflows", .view) { .view(try await $0.workflowsPage()) }]
}

/// Workflows with their versions: running, draining, stranded.
extension PageCall {
    fileprivate func workflowsPage() async throws -> PageView {
        let versions = try await client.versions(namespace: namespace)
        let nodes = try await client.nodes().filter { !$0.isOverdue }.map(\.registration)
        let stranded = versions.filter(\.isStranded), names = Set(versions.map(\.workflow))
        var model: Model = [
            "lead": .string(
                "\(names.count) \(names.count == 1 ? "workflow" : "workflows"). A run stays on the version that it started on."),
            "hasStranded": .bool(!stranded.isEmpty),
            "strandedTitle": "Runs that nothing can move",
            "strandedText": .string(
                "No living process hosts " + stranded.map { "\($0.workflow) \($0.version)" }.joined(separator: ", ")
                    + ". Host it again, or move its runs to another version."),
        ]
        let groups = Dictionary(grouping: versions, by: \.workflow).sorted { $0.key < $1.key }
        model.offer(
            "workflows",
            groups.map { name, versions in
                let rows = versions.reversed().enumerated().map { place, version in row(version, nodes, isFirst: place == 0) }
                return ["workflow": .string(name), "versions": .array(rows.map(JSONValue.object))]
            })
        return PageView(template: "workflows", title: "Workflows", place: .workflows, freshness: .polled(10), model: model)
    }

    private func row(_ version: VersionInfo, _ nodes: [NodeRegistration], isFirst: Bool) -> Model {
        let hosts = nodes.filter { node in
            node.hosted.contains { $0.workflow == version.workflow && $0.version == version.version.description }
        }
        let standing: (tone: String, text: String) =
            version.isStranded
            ? ("bad", "stranded")
            : version.takesNewRuns ? ("good", "takes new runs") : version.isDrained ? ("plain", "drained") : ("ask", "draining")
        let open = version.runs.filter { RunState(rawValue: $0.key)?.isFinal == false }.sorted { $0.key < $1.key }
        var row: Model = [
            "isFirst": .bool(isFirst), "workflow": .string(version.workflow), "version": .string(version.version.description),
            "href": .string(Self.link("\(base)/runs", [("workflow", version.workflow)])), "tone": .string(standing.tone),
            "standing": .string(standing.text), "hasOpen": .bool(!open.isEmpty),
            "closed": JSONValue(version.runs.values.reduce(0, +) - open.reduce(0) { $0 + $1.value }),
            "hosts": .string(hosts.isEmpty ? "none" : Set(hosts.map(\.host)).sorted().joined(separator: ", ")),
        ]
        row["openStates"] = .array(
            open.map { state, count in
                var entry = Self.state(state)
                entry["count"] = JSONValue(count)
                entry["href"] = .string(Self.link("\(base)/runs", [("workflow", version.workflow), ("state", state)]))
                return .object(entry)
            })
        row.offer("owner", workflows?.find(version.workflow, version.version.description)?.owner)
        return row
    }
}
