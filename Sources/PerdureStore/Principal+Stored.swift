package import Perdure
import PerdureHistory

extension Principal {
    /// As canonical JSON, for a column of a store.
    package var storedText: String {
        JSONValue.object(["kind": .string(kind.rawValue), "id": .string(id), "authentication": .string(authentication)])
            .canonicalText
    }

    /// Reads `storedText`; nil if it is something else.
    package init?(stored text: String) {
        guard let object = try? JSONValue.parse(Array(text.utf8)), let id = object["id"]?.stringValue,
            let kind = object["kind"]?.stringValue.flatMap(Kind.init(rawValue:)),
            let authentication = object["authentication"]?.stringValue
        else { return nil }
        self.init(kind, id, authentication: authentication)
    }
}
