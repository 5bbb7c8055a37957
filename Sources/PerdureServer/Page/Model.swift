internal import Foundation
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory

/// What a template is filled with.
///
/// A template looks for a member that is missing further out, so that every member it asks for has to stand there, also where it is false
/// or empty.
typealias Model = JSONObject

extension JSONObject {
    /// Sets a text and whether there is one: templates ask for `hasNote` before they write `note`.
    mutating func offer(_ name: String, _ text: String?) {
        self[Self.asked(name)] = .bool(text != nil)
        self[name] = .string(text ?? "")
    }

    /// The same of a list.
    mutating func offer(_ name: String, _ models: [Model]) {
        self[Self.asked(name)] = .bool(!models.isEmpty)
        self[name] = .array(models.map(JSONValue.object))
    }

    private static func asked(_ name: String) -> String { "has" + name.prefix(1).uppercased() + name.dropFirst() }

    /// A time for machines under one name, and for people in UTC under another.
    mutating func set(_ time: Timestamp, as name: String, text: String) {
        self[name] = JSONValue(time: time)
        self[text] = .string(PageTime.short(time))
    }
}

/// Times in the page. Script puts them into the zone of whoever looks.
enum PageTime {
    /// `23 Nov 10:57:01`.
    static func short(_ time: Timestamp) -> String {
        let text = time.description
        let month = Int(text.dropFirst(5).prefix(2)).flatMap { (1...12).contains($0) ? months[$0 - 1] : nil } ?? ""
        let day = text.dropFirst(8).prefix(2).drop { $0 == "0" }
        return "\(day) \(month) \(text.dropFirst(11).prefix(8))"
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// `3m 12s ago`, or `in 2h`.
    static func age(_ time: Timestamp, now: Timestamp) -> String {
        time > now ? "in \(ReadableTime.span(time.duration(since: now)))" : "\(ReadableTime.span(now.duration(since: time))) ago"
    }
}

extension RunID {
    /// Its last part, which differs also between runs that were started together.
    var short: String { String(description.suffix(12)) }
}
