extension JSONValue {
    /// Names the first place, in canonical order, where two values differ, like
    /// `service: history has "db", the code asked for "cache"`.
    /// - Parameters:
    ///   - recorded: what history has.
    ///   - asked: what the code asked for.
    /// - Returns: nil if both are written the same.
    package static func firstDifference(_ recorded: JSONValue, _ asked: JSONValue) -> String? {
        difference(recorded, asked, path: "")
    }

    private static func difference(_ recorded: JSONValue?, _ asked: JSONValue?, path: String) -> String? {
        switch (recorded, asked) {
        case (.object(let left)?, .object(let right)?):
            return difference(left, right, path: path)
        case (.array(let left)?, .array(let right)?):
            for index in 0..<max(left.count, right.count) {
                let old = index < left.count ? left[index] : nil
                let new = index < right.count ? right[index] : nil
                if let found = difference(old, new, path: "\(path)[\(index)]") { return found }
            }
            return nil
        case (let left?, let right?) where left.canonicalBytes == right.canonicalBytes:
            return nil
        default:
            let place = path.isEmpty ? "the value" : path
            return "\(place): history has \(text(recorded)), the code asked for \(text(asked))"
        }
    }

    private static func difference(_ recorded: JSONObject, _ asked: JSONObject, path: String) -> String? {
        var left = recorded.members[...]
        var right = asked.members[...]
        while left.first != nil || right.first != nil {
            let order: Int
            switch (left.first, right.first) {
            case (let old?, let new?): order = JSONObject.compare(old.key, new.key)
            case (_?, nil): order = -1
            default: order = 1
            }
            let old = order <= 0 ? left.popFirst() : nil
            let new = order >= 0 ? right.popFirst() : nil
            let key = old?.key ?? new?.key ?? ""
            let inner = path.isEmpty ? key : "\(path).\(key)"
            if let found = difference(old?.value, new?.value, path: inner) { return found }
        }
        return nil
    }

    private static func text(_ value: JSONValue?) -> String {
        value.map(\.shortText) ?? "nothing"
    }
}
