internal import Foundation
internal import Perdure
package import PerdureEngine
package import PerdureHistory

/// What a person is asked, exactly as it would be executed.
package enum RequestText {
    package static func approval(_ approval: PendingApproval, now: Timestamp, style: Style) -> String {
        let view = (try? JSONValue.parse(Array(approval.view), what: "the view")) ?? .null
        let expiry = approval.expiresAt.map { ReadableTime.point(Timestamp($0), seenAt: now) } ?? "never"
        return """
            \(style.bold("Approval of '\(approval.step.shortened(to: 80))'")) in run \(approval.run)
            for \(approval.approver.shortened(to: 80)), until \(expiry)

            \(JSONText.indented(view, by: 2))

            digest \(approval.digest)

            """
    }

    /// The list of everything that waits for a person.
    package static func waiting(_ items: [WaitingItem], program: String, now: Timestamp, style: Style) -> String {
        guard !items.isEmpty else { return "Nothing waits for a person.\n" }
        return items.map { item in
            let limit = item.expires.map { ", until \(ReadableTime.point($0, seenAt: now))" } ?? ""
            let commands = item.commands.map { "    \(style.dim(CommandText.line(program, $0)))" }
            return
                (["\(style.bold(item.title.shortened(to: 160)))\(limit)", "    \(item.details.shortened(to: 240))"] + commands)
                .joined(separator: "\n")
        }.joined(separator: "\n\n") + "\n"
    }
}

/// JSON on several lines.
package enum JSONText {
    /// All of it, with two spaces for each level. What would be invisible, or turn the direction of what is read, is written as an escape
    /// of JSON: what somebody decides on has to look like what it is.
    package static func pretty(_ value: JSONValue) -> String {
        var text = ""
        for scalar in lines(value, margin: "", longest: nil).unicodeScalars {
            guard scalar.properties.generalCategory == .format else {
                text.unicodeScalars.append(scalar)
                continue
            }
            for unit in UTF16.encode(scalar) ?? .init() { text += "\\u" + Hex.encode([UInt8(unit >> 8), UInt8(unit & 0xff)]) }
        }
        return text
    }

    /// For a terminal: long values are cut.
    static func indented(_ value: JSONValue, by spaces: Int) -> String {
        let margin = String(repeating: " ", count: spaces)
        return margin + lines(value, margin: margin, longest: 2_000)
    }

    private static func lines(_ value: JSONValue, margin: String, longest: Int?) -> String {
        let inner = margin + "  "
        switch value {
        case .object(let object) where !object.isEmpty:
            let members = object.members.map {
                "\(inner)\(JSONValue.string($0.key)): \(lines($0.value, margin: inner, longest: longest))"
            }
            return "{\n\(members.joined(separator: ",\n"))\n\(margin)}"
        case .array(let elements) where !elements.isEmpty:
            return
                "[\n\(elements.map { inner + lines($0, margin: inner, longest: longest) }.joined(separator: ",\n"))\n\(margin)]"
        default:
            return longest.map { value.canonicalText.shortened(to: $0) } ?? value.canonicalText
        }
    }
}
