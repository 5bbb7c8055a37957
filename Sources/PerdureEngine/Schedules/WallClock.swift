import Foundation
import Perdure

/// What the clocks on the walls of a place show: the rules of an IANA time zone. Seconds on a wall count as if it showed UTC.
struct WallClock: Sendable, Hashable {
    let zone: TimeZone

    var name: String { zone.identifier }

    /// - Throws: `PerdureError` with `zone_unknown`.
    init(zone name: String) throws {
        // Foundation also takes abbreviations, which mean several places or have no daylight saving, and offsets.
        guard name == "UTC" || name == "GMT" || name.contains("/"), name.utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
            let zone = TimeZone(identifier: name)
        else {
            throw PerdureError(
                .zoneUnknown,
                "'\(name.prefix(100))' is no time zone that this system knows: use UTC or a name of the IANA database such as Europe/Berlin, "
                    + "written exactly like that.", metadata: [("zone", String(name.prefix(100)))])
        }
        self.zone = zone
    }

    /// How far the wall is ahead of UTC, in seconds.
    func offset(at time: Int64) -> Int64 {
        Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: TimeInterval(time))))
    }

    /// When the wall shows this time: the first of the two moments, if clocks are put back over it; the moment after they are put
    /// forward, if they pass over it.
    func time(ofWall wall: Int64) -> Int64 {
        // No wall is more than 14 hours from UTC, and nowhere are clocks changed twice in two days.
        let start = wall - 26 * 3_600, end = wall + 26 * 3_600
        let before = offset(at: start), after = offset(at: end)
        guard before != after, let change = change(after: start, through: end) else { return wall - before }
        if wall - before < change { return wall - before }
        return max(change, wall - after)
    }

    /// When clocks are changed next, up to and with the end. Looked at day by day.
    func change(after start: Int64, through end: Int64) -> Int64? {
        var low = start
        let offset = offset(at: low)
        while low < end {
            var high = min(low + 86_400, end)
            guard self.offset(at: high) != offset else {
                low = high
                continue
            }
            while high - low > 1 {
                let middle = low + (high - low) / 2
                if self.offset(at: middle) == offset { low = middle } else { high = middle }
            }
            return high
        }
        return nil
    }
}

extension CronExpression {
    /// The last moment that is looked at: the end of the year 9999.
    private static let end: Int64 = 253_402_300_799

    /// The first moment after this one at which it is due, in seconds since 1970.
    ///
    /// An expression that names certain hours goes by the walls: every minute on the wall that fits counts once. Where clocks are put
    /// back it is due the first time; where they are put forward over it, at the moment after. One that names every hour goes by the time
    /// that passes: it is due whenever the wall shows a minute that fits, be it twice or not at all.
    func next(after time: Int64, on wall: WallClock) -> Int64? {
        guard (-62_135_596_800...Self.end).contains(time) else { return nil }
        let next = isHourly ? nextShown(after: time, wall) : nextNamed(after: time, wall)
        return next.flatMap { $0 <= Self.end ? $0 : nil }
    }

    private func nextShown(after time: Int64, _ wall: WallClock) -> Int64? {
        var start = time + 1
        while start <= Self.end {
            let offset = wall.offset(at: start)
            guard let match = firstMatch(atOrAfter: start + offset) else { return nil }
            guard let change = wall.change(after: start, through: match - offset) else { return match - offset }
            start = change
        }
        return nil
    }

    private func nextNamed(after time: Int64, _ wall: WallClock) -> Int64? {
        var shown = time + wall.offset(at: time) + 1
        while let match = firstMatch(atOrAfter: shown) {
            let next = wall.time(ofWall: match)
            if next > time { return next }
            shown = match + 1
        }
        return nil
    }
}
