import Foundation

/// Tells people what happens while it happens; in colour on a terminal, plainly elsewhere, and nothing if a machine reads.
struct Narrator: Sendable {
    enum Manner: Sendable { case silent, plain, colour }

    let manner: Manner

    func begin(_ title: String) { write("\n\(paint(title, "1"))") }

    func kill(_ number: Int, _ boundary: Boundary, _ detail: String) {
        let count = "kill \(number)".padding(toLength: 8, withPad: " ", startingAt: 0)
        let title = boundary.title.padding(toLength: 32, withPad: " ", startingAt: 0)
        write("  \(paint("✗ \(count)", "31")) \(title) \(paint(detail, "2"))")
    }

    func miss(_ boundary: Boundary) { write("  \(paint("? missed", "33"))   \(boundary.title)") }

    func say(_ words: String) { write("  \(paint("●", "36")) \(words)") }

    func end(runs: Int) { write("  \(paint("✓", "32")) \(runs == 1 ? "the run is" : "\(runs) runs are") closed") }

    private func paint(_ text: String, _ code: String) -> String {
        manner == .colour ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }

    private func write(_ line: String) {
        guard manner != .silent else { return }
        try? FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8))
    }
}
