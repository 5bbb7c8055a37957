import Foundation

/// Everything that was measured.
package struct BenchReport: Sendable {
    package var measurements: [Measurement]

    /// A list of objects with the keys id, what, value, unit, handwritten, ratio, cpu_ms, syncs, runs.
    package var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(measurements), as: UTF8.self)
        }
    }

    /// A table for people.
    package var table: String {
        let heads = ["", "what", "value", "by hand", "ratio", "CPU ms/run", "syncs/run", "runs", "budget"]
        let rows = measurements.map(Self.cells)
        let widths = heads.indices.map { column in ([heads] + rows).map { $0[column].count }.max() ?? 0 }
        let lines = ([heads] + rows).map { cells in
            cells.indices.map { column in
                let fill = String(repeating: " ", count: widths[column] - cells[column].count)
                return column < 2 || column == heads.count - 1 ? cells[column] + fill : fill + cells[column]
            }.joined(separator: "  ")
        }
        return lines.map { String($0.reversed().drop { $0 == " " }.reversed()) }.joined(separator: "\n")
    }

    private static func cells(_ one: Measurement) -> [String] {
        let budgets = one.budgets.map { budget in
            let verdict = one.keeps(budget).map { $0 ? "kept" : "missed" } ?? "not measured"
            return "\(text(budget)): \(verdict)"
        }
        return [
            one.id, one.what, "\(text(one.value)) \(one.unit)", one.handwritten.map(text) ?? "-", one.ratio.map(text) ?? "-",
            one.cpuMilliseconds.map(text) ?? "-", one.syncs.map(text) ?? "-", String(one.runs), budgets.joined(separator: "; "),
        ]
    }

    private static func text(_ budget: Measurement.Budget) -> String {
        switch budget {
        case .atMost(let limit): "at most \(text(limit))"
        case .atLeast(let limit): "at least \(text(limit))"
        case .ratioAtMost(let limit): "at most \(text(limit)) x by hand"
        case .ratioAtLeast(let limit): "at least \(text(limit)) x by hand"
        }
    }

    /// Three digits that count.
    private static func text(_ value: Double) -> String {
        switch abs(value) {
        case 0: "0"
        case ..<0.1: String(format: "%.4f", value)
        case ..<10: String(format: "%.2f", value)
        case ..<100: String(format: "%.1f", value)
        default: String(format: "%.0f", value)
        }
    }
}
