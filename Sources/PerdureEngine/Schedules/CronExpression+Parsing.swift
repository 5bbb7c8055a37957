import Perdure

extension CronExpression {
    /// Reads an expression.
    ///
    /// - Throws: `PerdureError` with `cron_invalid`: for what cannot be read, and for days that no month has, which would never come.
    public init(_ text: String) throws {
        let words = text.uppercased().split { $0 == " " || $0 == "\t" }.map(String.init)
        let described = words.joined(separator: " ")
        var fields = words
        if let first = words.first, first.hasPrefix("@") {
            guard words.count == 1, let meaning = Self.shorthands[first] else {
                throw Self.invalid(
                    text,
                    "'\(words.joined(separator: " "))' is none of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually"
                )
            }
            fields = meaning.split(separator: " ").map(String.init)
        }
        guard fields.count == 5 else {
            let hint = fields.count == 6 || fields.count == 7 ? "; there are no seconds and no years" : ""
            throw Self.invalid(
                text, "it has \(fields.count) fields, not five: minute, hour, day of the month, month, day of the week\(hint)")
        }
        let values = try zip(CronField.all, fields).map { field, word in
            do throws(CronField.Mistake) {
                return try field.values(of: word)
            } catch {
                throw Self.invalid(text, error.reason)
            }
        }
        description = described
        (minutes, hours, days, months) = (values[0], values[1], values[2], values[3])
        weekdays = (values[4] | values[4] >> 7) & 0b111_1111
        daysAreOpen = fields[2].hasPrefix("*")
        weekdaysAreOpen = fields[4].hasPrefix("*")
        guard firstMatch(atOrAfter: 0) != nil else {
            throw Self.invalid(text, "no month that it names has such a day, so that it would never come")
        }
    }

    private static let shorthands = [
        "@HOURLY": "0 * * * *", "@DAILY": "0 0 * * *", "@MIDNIGHT": "0 0 * * *", "@WEEKLY": "0 0 * * 0", "@MONTHLY": "0 0 1 * *",
        "@YEARLY": "0 0 1 1 *", "@ANNUALLY": "0 0 1 1 *",
    ]

    private static func invalid(_ text: String, _ reason: String) -> PerdureError {
        let shown = text.count > 200 ? text.prefix(200) + "…" : text[...]
        return PerdureError(
            .cronInvalid, "The cron expression '\(shown)' cannot be used: \(reason).", metadata: [("expression", String(shown))])
    }
}

/// One of the five fields: what may stand in it.
private struct CronField {
    struct Mistake: Error { let reason: String }

    let name: String
    let range: ClosedRange<Int>
    /// Of the values from the first one on.
    var names: [String] = []

    static let all = [
        CronField(name: "minute", range: 0...59), CronField(name: "hour", range: 0...23),
        CronField(name: "day of the month", range: 1...31),
        CronField(
            name: "month", range: 1...12,
            names: ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]),
        CronField(name: "day of the week", range: 0...7, names: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]),
    ]

    /// One bit for each value.
    func values(of word: String) throws(Mistake) -> UInt64 {
        var bits: UInt64 = 0
        for part in word.split(separator: ",", omittingEmptySubsequences: false) {
            for value in try values(ofPart: part) { bits |= 1 << UInt64(value) }
        }
        return bits
    }

    private func values(ofPart part: Substring) throws(Mistake) -> StrideThrough<Int> {
        let pieces = part.split(separator: "/", omittingEmptySubsequences: false)
        guard pieces.count <= 2, let base = pieces.first else { throw mistake(part, "a step is written once, as in */15") }
        let isRange = base == "*" || base.contains("-")
        var step = 1
        if pieces.count == 2 {
            guard isRange else { throw mistake(part, "a step stands behind '*' or a range, as in */15 or 8-18/2") }
            guard let number = Self.number(pieces[1]), number > 0 else { throw mistake(part, "a step is a number above 0") }
            step = number
        }
        if base == "*" {
            // Not 0 to 7: the second Sunday would come between two steps.
            return stride(from: range.lowerBound, through: min(range.upperBound, names.count == 7 ? 6 : 59), by: step)
        }
        let ends = base.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count <= 2, let begin = ends.first else { throw mistake(part, "a range has two ends, as in 1-5") }
        let first = try value(begin, part), last = ends.count == 2 ? try value(ends[1], part) : first
        guard first <= last else { throw mistake(part, "the range begins after it ends; write two ranges with a comma") }
        return stride(from: first, through: last, by: step)
    }

    private func value(_ text: Substring, _ part: Substring) throws(Mistake) -> Int {
        if let index = names.firstIndex(where: { $0 == text }) { return range.lowerBound + index }
        guard let number = Self.number(text) else {
            throw mistake(
                part,
                "only numbers\(names.isEmpty ? "" : ", the names \(names[0]) to \(names[names.count - 1])"), "
                    + "'*', ranges, lists and steps can stand there, none of ?, L, W and #")
        }
        guard range.contains(number) else { throw mistake(part, "it goes from \(range.lowerBound) to \(range.upperBound)") }
        return number
    }

    private func mistake(_ part: Substring, _ reason: String) -> Mistake {
        Mistake(reason: "in the \(name), '\(part)': \(reason)")
    }

    /// Digits alone, and few of them.
    private static func number(_ text: Substring) -> Int? {
        guard (1...4).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text)
    }
}
