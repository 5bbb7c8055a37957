/// Colours for terminals; plain text everywhere else.
package struct Style: Sendable {
    package var isOn: Bool
    package static let plain = Style(isOn: false)

    package init(isOn: Bool) { self.isOn = isOn }

    func bold(_ text: String) -> String { paint(text, "1") }
    func dim(_ text: String) -> String { paint(text, "2") }
    func red(_ text: String) -> String { paint(text, "31") }
    func green(_ text: String) -> String { paint(text, "32") }
    func yellow(_ text: String) -> String { paint(text, "33") }

    private func paint(_ text: String, _ code: String) -> String { isOn ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }

    /// A run's state in its colour.
    func state(_ state: String) -> String {
        switch state {
        case "completed": green(state)
        case "failed", "quarantined", "terminated": red(state)
        case "parked", "blocked", "paused": yellow(state)
        default: state
        }
    }
}

extension String {
    /// Filled with spaces to the given width; a longer text stays.
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }

    /// The same with the spaces in front.
    func indented(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }

    /// The first characters, and an ellipsis for the rest. What could move a terminal's cursor is shown as a dot.
    func shortened(to limit: Int) -> String {
        let clean = String(unicodeScalars.map { $0.properties.generalCategory == .control ? "·" : Character($0) })
        return clean.count > limit ? clean.prefix(max(0, limit - 1)) + "…" : clean
    }
}
