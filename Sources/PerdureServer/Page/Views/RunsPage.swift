internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

extension PageRoute {
    static let runs = [PageRoute(.get, "/runs", .view) { .view(try await $0.runs()) }]
}

extension PageCall {
    private static let pageSize = 50

    fileprivate func runs() async throws -> PageView {
        let states = query.all("state").filter { Schema.states.contains($0) }
        let workflow = query["workflow"], key = query["key"], label = query["label"]
        var error: String?, found: [RunRecord] = [], next: Int64?
        if let key {
            if let workflow {
                found = try await client.keyHolder(key, of: workflow, in: namespace).map { [$0] } ?? []
            } else {
                error = "A key belongs to one workflow: choose which."
            }
        } else {
            let pair = label.flatMap(TextRule.label)
            if label != nil, pair == nil { error = "A label is asked for as name=value." }
            if error == nil {
                let filter = RunFilter(
                    namespace: namespace, workflow: workflow, version: query["version"],
                    states: states.compactMap(RunState.init(rawValue:)),
                    labels: pair.map { [$0.0: Name.normalized($0.1)] } ?? [:], before: query["before"].flatMap(Int64.init),
                    limit: Self.pageSize)
                let (runs, problems) = try await client.readable(filter)
                found = runs
                if !problems.isEmpty {
                    error = "\(problems.count) runs cannot be read and are left out: perdure verify says why."
                }
                next = found.count == Self.pageSize ? found.last?.number : nil
            }
        }
        let chosen =
            states.map { ("state", $0) }
            + ["workflow", "version", "label", "key"].compactMap { name in query[name].map { (name, $0) } }
        var model: Model = [
            "lead": .string(Self.lead(found.count, hasMore: next != nil, isFiltered: !chosen.isEmpty)),
            "labelFilter": .string(label ?? ""), "keyFilter": .string(key ?? ""), "isFiltered": .bool(!chosen.isEmpty),
            "emptyText": .string(chosen.isEmpty ? "No run was started here yet." : "No run fits."),
            "hasFirst": .bool(query["before"] != nil), "firstHref": .string(Self.link("\(base)/runs", chosen)),
            "hasNext": .bool(next != nil),
            "nextHref": .string(next.map { Self.link("\(base)/runs", chosen + [("before", String($0))]) } ?? ""),
        ]
        model.offer("filterError", error)
        model["workflowChoices"] = .array(
            try await workflowNames().map { ["name": .string($0), "isSelected": .bool($0 == workflow)] })
        model["stateChoices"] = .array(
            Schema.states.map { state in
                var choice = Self.state(state)
                choice["isSelected"] = .bool(states.contains(state))
                return .object(choice)
            })
        model.offer("runs", found.map(row))
        return PageView(
            template: "runs", title: "Runs", place: .runs, freshness: query["before"] == nil ? .polled(2) : .fixed, model: model)
    }

    private static func lead(_ count: Int, hasMore: Bool, isFiltered: Bool) -> String {
        if hasMore { return "The \(count) newest\(isFiltered ? " that fit" : "") of this page; there are older ones." }
        return "\(count) \(count == 1 ? "run" : "runs")\(isFiltered ? " that fit" : "")\(count == 0 ? "" : ", newest first")."
    }

    /// Those that are hosted now, and that this process knows.
    func workflowNames() async throws -> [String] {
        let hosted = try await client.livingNodes().flatMap(\.hosted).map(\.workflow)
        return Set(hosted + (query["workflow"].map { [$0] } ?? [])).sorted()
    }
}
