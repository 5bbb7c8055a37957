/// Where in a value the encoder stands, as a list that shares its parents, so that going one level deeper copies nothing.
indirect enum CodingPath: Sendable {
    case root
    case key(String, parent: CodingPath)
    case index(Int, parent: CodingPath)

    /// The path in the form `Encoder` asks for.
    var keys: [any CodingKey] {
        var keys: [any CodingKey] = []
        var path = self
        while true {
            switch path {
            case .root:
                return keys.reversed()
            case .key(let name, let parent):
                keys.append(PathKey(stringValue: name))
                path = parent
            case .index(let index, let parent):
                keys.append(PathKey(index: index))
                path = parent
            }
        }
    }
}

/// A coding key of any name or index.
struct PathKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(stringValue: String) {
        self.stringValue = stringValue
        intValue = nil
    }

    init(intValue: Int) {
        stringValue = String(intValue)
        self.intValue = intValue
    }

    init(index: Int) {
        stringValue = "Index \(index)"
        intValue = index
    }

    /// The key of the value a superclass encodes when none is named.
    static let superKey = PathKey(stringValue: "super")
}

extension Collection where Element == any CodingKey {
    /// The path as people write it: `order.items[2].price`.
    var text: String {
        var text = ""
        for key in self {
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
            }
        }
        return text
    }
}
