import Perdure
package import PerdureHistory

/// Times as people read them. All in UTC, so that two people see the same text.
package enum ReadableTime {
    /// `2026-03-01 12:00:00Z`, without the parts below a second.
    package static func point(_ time: Timestamp) -> String {
        let text = time.description
        guard let dot = text.lastIndex(of: ".") else { return text }
        return text[..<dot].replacing("T", with: " ") + "Z"
    }

    /// The two largest units that matter: `850ms`, `2.4s`, `3m 12s`, `2d 4h`. Negative spans count as none.
    package static func span(_ duration: Duration) -> String {
        let microseconds = max(0, duration.microseconds)
        if microseconds < 1_000 { return microseconds == 0 ? "0s" : "<1ms" }
        if microseconds < 1_000_000 { return "\(microseconds / 1_000)ms" }
        let tenths = microseconds / 100_000
        if tenths < 600 { return tenths % 10 == 0 ? "\(tenths / 10)s" : "\(tenths / 10).\(tenths % 10)s" }
        let units: [(Int64, String)] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")]
        var seconds = microseconds / 1_000_000
        var parts: [String] = []
        for (size, name) in units where parts.count < 2 {
            let count = seconds / size
            seconds %= size
            if count > 0 { parts.append("\(count)\(name)") } else if !parts.isEmpty { break }
        }
        return parts.joined(separator: " ")
    }

    /// The place of an event in a history: `+0.250s` in the first minute, then `+02:00:07`, `+3d 02:00:07`.
    package static func offset(_ time: Timestamp, from start: Timestamp) -> String {
        let milliseconds = max(0, time.duration(since: start).microseconds) / 1_000
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        if milliseconds < 60_000 { return "+\(milliseconds / 1_000).\(padded(milliseconds % 1_000, 3))s" }
        let seconds = milliseconds / 1_000, days = seconds / 86_400
        let clock = [seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60].map { padded($0, 2) }.joined(separator: ":")
        return days > 0 ? "+\(days)d \(clock)" : "+\(clock)"
    }

    /// `2026-03-01 12:00:00Z (in 2h)` or `… (2h ago)`.
    package static func point(_ time: Timestamp, seenAt now: Timestamp) -> String {
        if time == now { return "\(point(time)) (now)" }
        return time > now
            ? "\(point(time)) (in \(span(time.duration(since: now))))" : "\(point(time)) (\(span(now.duration(since: time))) ago)"
    }
}
