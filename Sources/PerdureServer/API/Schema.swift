internal import PerdureHistory

/// The shape of a JSON value: what a body is checked by, and what is served as a description of it.
indirect enum Schema: Sendable, Hashable {
    case text(TextRule)
    case integer(ClosedRange<Int64>)
    case number
    case bool
    /// Any JSON.
    case any
    case list(Schema, atMost: Int)
    /// Members by names that the rule allows, such as labels.
    case map(TextRule, Schema, atMost: Int)
    /// What comes in has these members and no others; what goes out may get more with time.
    case object([Member])
    /// One that is described once, under a name.
    case named(String, Schema)
    case orNull(Schema)

    struct Member: Sendable, Hashable {
        let name: String
        let schema: Schema
        let isRequired: Bool
        let about: String?

        static func must(_ name: String, _ schema: Schema, _ about: String? = nil) -> Member {
            Member(name: name, schema: schema, isRequired: true, about: about)
        }
        static func may(_ name: String, _ schema: Schema, _ about: String? = nil) -> Member {
            Member(name: name, schema: schema, isRequired: false, about: about)
        }
    }
}

/// Something that is not as its schema says.
struct Flaw: Sendable, Hashable {
    /// A JSON Pointer (RFC 6901) to the place in the body, or the name of a parameter.
    let place: String
    let wish: String
}

// MARK: Checking

extension Schema {
    /// What is wrong with the value, at most so many flaws of it.
    ///
    /// - Parameter isAnswer: Objects may have members that are not described.
    func flaws(in value: JSONValue, isAnswer: Bool = false, atMost limit: Int = 10) -> [Flaw] {
        var flaws: [Flaw] = []
        find(in: value, "", isAnswer, limit, &flaws)
        return flaws
    }

    private func find(in value: JSONValue, _ place: String, _ isAnswer: Bool, _ limit: Int, _ flaws: inout [Flaw]) {
        guard flaws.count < limit else { return }
        func miss(_ wish: String) { flaws.append(Flaw(place: place, wish: wish)) }
        switch self {
        case .any: break
        case .text(let rule):
            guard let text = value.stringValue else { return miss("has to be a text") }
            if !rule.fits(text) { miss(rule.wish) }
        case .integer(let range):
            guard let number = value.integerValue, range.contains(number) else {
                return miss("has to be a whole number from \(range.lowerBound) to \(range.upperBound)")
            }
        case .number:
            switch value {
            case .integer, .unsigned, .number, .decimal: break
            default: miss("has to be a number")
            }
        case .bool: if value.boolValue == nil { miss("has to be true or false") }
        case .list(let element, let most):
            guard let elements = value.arrayValue, elements.count <= most else {
                return miss("has to be an array of at most \(most) elements")
            }
            for (index, child) in elements.enumerated() { element.find(in: child, "\(place)/\(index)", isAnswer, limit, &flaws) }
        case .map(let rule, let element, let most):
            guard let object = value.objectValue, object.count <= most else {
                return miss("has to be an object of at most \(most) members")
            }
            for member in object.members where flaws.count < limit {
                let child = "\(place)/\(Self.pointer(member.key))"
                guard rule.fits(member.key) else {
                    flaws.append(Flaw(place: child, wish: "its name \(rule.wish)"))
                    continue
                }
                element.find(in: member.value, child, isAnswer, limit, &flaws)
            }
        case .object(let members): find(members, in: value, place, isAnswer, limit, &flaws)
        case .named(_, let schema): schema.find(in: value, place, isAnswer, limit, &flaws)
        case .orNull(let schema): if value != .null { schema.find(in: value, place, isAnswer, limit, &flaws) }
        }
    }

    private func find(
        _ members: [Member], in value: JSONValue, _ place: String, _ isAnswer: Bool, _ limit: Int, _ flaws: inout [Flaw]
    ) {
        guard let object = value.objectValue else { return flaws.append(Flaw(place: place, wish: "has to be an object")) }
        for member in members {
            let child = "\(place)/\(Self.pointer(member.name))"
            if let value = object[member.name] {
                member.schema.find(in: value, child, isAnswer, limit, &flaws)
            } else if member.isRequired {
                flaws.append(Flaw(place: child, wish: "is missing"))
            }
        }
        if isAnswer { return }
        let known = members.map(\.name).joined(separator: ", ")
        for key in object.keys where flaws.count < limit && !members.contains(where: { $0.name == key }) {
            flaws.append(
                Flaw(
                    place: "\(place)/\(Self.pointer(key))",
                    wish: "is not known here; \(known.isEmpty ? "nothing is" : "known: \(known)")"))
        }
    }

    /// A name as a part of a JSON Pointer, of a very long one its beginning.
    private static func pointer(_ name: String) -> String {
        String(name.prefix(100)).replacing("~", with: "~0").replacing("/", with: "~1")
    }
}

// MARK: Describing

extension Schema {
    /// As JSON Schema (draft 2020-12), which is what OpenAPI 3.1 has.
    ///
    /// - Parameter isAnswer: Objects may have members that are not described.
    func document(isAnswer: Bool) -> JSONValue {
        switch self {
        case .text(let rule): return .object(rule.document)
        case .integer(let range):
            return ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)]
        case .number: return ["type": "number"]
        case .bool: return ["type": "boolean"]
        case .any: return [:]
        case .list(let element, let most):
            return ["type": "array", "items": element.document(isAnswer: isAnswer), "maxItems": JSONValue(most)]
        case .map(let rule, let element, let most):
            return [
                "type": "object", "propertyNames": .object(rule.document),
                "additionalProperties": element.document(isAnswer: isAnswer), "maxProperties": JSONValue(most),
            ]
        case .object(let members):
            let properties = members.map { member -> (String, JSONValue) in
                var schema = member.schema.document(isAnswer: isAnswer)
                if let about = member.about, case .object(var object) = schema {
                    object["description"] = .string(about)
                    schema = .object(object)
                }
                return (member.name, schema)
            }
            var document: JSONObject = ["type": "object", "properties": .object(JSONObject(properties))]
            let required = members.filter(\.isRequired).map { JSONValue.string($0.name) }
            if !required.isEmpty { document["required"] = .array(required) }
            if !isAnswer { document["additionalProperties"] = false }
            return .object(document)
        case .named(let name, _): return ["$ref": "#/components/schemas/\(name)"]
        case .orNull(let schema): return ["anyOf": [schema.document(isAnswer: isAnswer), ["type": "null"]]]
        }
    }

    /// Those in it that are described under a name.
    var components: [String: Schema] {
        switch self {
        case .text, .integer, .number, .bool, .any: [:]
        case .list(let element, _), .map(_, let element, _), .orNull(let element): element.components
        case .object(let members):
            members.map(\.schema.components).reduce(into: [:]) { all, some in all.merge(some) { first, _ in first } }
        case .named(let name, let schema): schema.components.merging([name: schema]) { first, _ in first }
        }
    }
}
