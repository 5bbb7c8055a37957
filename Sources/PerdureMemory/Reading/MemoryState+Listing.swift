internal import Perdure
internal import PerdureHistory
internal import PerdureStore

// What people ask. These look at every run.
extension MemoryState {
    func record(_ index: Int?) -> RunRecord? { index.map { runs[$0].record } }

    func run(namespace: String, workflow: String, key: String) -> RunRecord? {
        record(keys[WorkflowKey(namespace, workflow, key)].flatMap { index(of: $0) })
    }

    /// The indices of the runs with smaller numbers, the newest first.
    private func newest(before number: Int64?) -> some Sequence<Int> {
        let end = Int(clamping: min(number ?? .max, Int64(runs.count) + 1)) - 1
        return (0..<max(0, end)).reversed().lazy.filter { !runs[$0].isGone }
    }

    func runs(_ filter: RunFilter) -> [RunRecord] {
        let states = Set(filter.states)
        let labels = filter.labels.map { (ByteText($0.key), ByteText($0.value)) }
        let namespace = filter.namespace.map(ByteText.init), workflow = filter.workflow.map(ByteText.init)
        let version = filter.version.map(ByteText.init)
        var found: [RunRecord] = []
        for index in newest(before: filter.before) {
            guard found.count < filter.limit else { break }
            let name = work[runs[index].work].name
            guard states.isEmpty || states.contains(runs[index].record.state), workflow == nil || workflow == name.workflow,
                version == nil || version == name.version,
                namespace == nil || namespace == ByteText(runs[index].record.namespace),
                labels.allSatisfy({ runs[index].labels[$0.0] == $0.1 })
            else { continue }
            found.append(runs[index].record)
        }
        return found
    }

    func runNumbers(before number: Int64?, limit: Int) -> [Int64] {
        newest(before: number).prefix(max(0, limit)).map { Int64($0) + 1 }
    }

    func counts(namespace: String?) -> [RunState: Int] {
        let namespace = namespace.map(ByteText.init)
        var counts: [RunState: Int] = [:]
        for run in runs where !run.isGone && (namespace == nil || namespace == ByteText(run.record.namespace)) {
            counts[run.record.state, default: 0] += 1
        }
        return counts
    }

    func namespaceCounts() -> [String: [RunState: Int]] {
        var counts: [String: [RunState: Int]] = [:]
        for run in runs where !run.isGone { counts[run.record.namespace, default: [:]][run.record.state, default: 0] += 1 }
        return counts
    }

    func versions(namespace: String?) -> [VersionCounts] {
        let namespace = namespace.map(ByteText.init)
        var counts = work.map { VersionCounts(workflow: $0.name.workflow.text, version: $0.name.version.text, runs: [:]) }
        for run in runs where !run.isGone && (namespace == nil || namespace == ByteText(run.record.namespace)) {
            counts[run.work].runs[run.record.state, default: 0] += 1
        }
        return counts.filter { !$0.runs.isEmpty }.sorted {
            (ByteText($0.workflow), ByteText($0.version)) < (ByteText($1.workflow), ByteText($1.version))
        }
    }

    func openRequests(_ query: RequestQuery) -> [OpenRequest] {
        let namespace = query.namespace.map(ByteText.init)
        var found: [OpenRequest] = []
        guard query.after < .max else { return [] }
        openRequests.forEach(from: OpenPlace(position: query.after + 1, run: 0, seq: 0)) { place in
            guard found.count < query.limit else { return false }
            guard let index = index(of: place.run), runs[index].record.state != .quarantined,
                namespace == nil || namespace == ByteText(runs[index].record.namespace),
                let event = runs[index].place(of: place.seq).map({ runs[index].events[$0] }),
                query.kind == nil || query.kind == event.kind
            else { return true }
            found.append(OpenRequest(number: place.position, run: runs[index].record, event: event))
            return true
        }
        return found
    }

    func knownDelivery(_ id: String, of run: Int64) -> KnownDelivery? {
        index(of: run).flatMap { runs[$0].deliveries[ByteText(id)] }
    }

    func controls(_ query: ControlQuery) -> [ControlRow] {
        switch query {
        case .all(let kind, let key, let limit):
            let rows = control.values.filter { row in
                row.key.kind == kind && key.map { ByteText($0) < ByteText(row.key.key) } ?? true
            }
            return Array(rows.sorted { ByteText($0.key.key) < ByteText($1.key.key) }.prefix(max(limit, 0)))
        case .due(let kind, let time, let limit):
            let rows = control.values.filter { $0.key.kind == kind && $0.due.map { $0 <= time } ?? false }
            return Array(
                rows.sorted { ($0.due ?? time, ByteText($0.key.key)) < ($1.due ?? time, ByteText($1.key.key)) }
                    .prefix(max(limit, 0)))
        }
    }
}
