internal import Perdure
internal import PerdureEngine
package import PerdureHistory
package import PerdureStore

/// Nodes as a table, under a sentence on how many live.
package enum NodesText {
    package static func render(_ nodes: [NodeStanding], now: Timestamp, style: Style) -> String {
        guard !nodes.isEmpty else { return "No process hosts this store now.\n" }
        let hasLeases = nodes.contains { $0.renewedAt != nil }
        let columns = Column.allCases.filter { hasLeases || $0 != .renewed }
        let rows = nodes.map { node in columns.map { $0.cell(node, now) } }
        let table = TextTable(
            heading: columns.map(\.rawValue), rows: rows, numbers: Set(columns.indices.filter { columns[$0] == .runs }))
        let awaited = nodes.filter(\.isAwaited).map(\.registration.id.rawValue)
        var lines = [sentence(nodes, hasLeases: hasLeases)]
        if !awaited.isEmpty {
            lines.append(
                "The server has started or changed. Nothing is begun before these nodes have looked at it, or have ended: "
                    + awaited.joined(separator: ", ") + ".")
        }
        lines += table.lines(style) { place, line in nodes[place].isOverdue ? style.red(line) : line }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func sentence(_ nodes: [NodeStanding], hasLeases: Bool) -> String {
        guard hasLeases else { return "One process hosts this store." }
        let overdue = nodes.count(where: \.isOverdue), living = nodes.count - overdue
        let lives = living == 0 ? "No node is known to live." : living == 1 ? "1 node lives." : "\(living) nodes live."
        guard overdue > 0 else { return lives }
        let late = overdue == 1 ? "1 is overdue: its runs wait" : "\(overdue) are overdue: their runs wait"
        return "\(lives) \(late) until a node that lives takes them over."
    }

    private enum Column: String, CaseIterable {
        case node = "NODE", process = "PROCESS", build = "BUILD", since = "SINCE", runs = "RUNS", renewed = "RENEWED", hosts =
            "HOSTS"

        func cell(_ node: NodeStanding, _ now: Timestamp) -> String {
            let registration = node.registration
            switch self {
            case .node: return registration.id.rawValue.shortened(to: 40)
            case .process: return "\(registration.processID) on \(registration.host.shortened(to: 40))"
            case .build: return registration.build.shortened(to: 12)
            case .since: return ReadableTime.span(now.duration(since: node.since)) + " ago"
            case .runs: return String(node.ownedRuns)
            case .renewed:
                guard let renewed = node.renewedAt else { return "" }
                return ReadableTime.span(now.duration(since: renewed)) + " ago" + (node.isOverdue ? ": overdue" : "")
            case .hosts:
                let hosted = registration.hosted.map { "\($0.workflow) \($0.version)" }.joined(separator: ", ")
                return hosted.isEmpty ? "nothing" : hosted
            }
        }
    }
}
