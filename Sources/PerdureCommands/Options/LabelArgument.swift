internal import ArgumentParser
internal import Perdure

/// `name=value` on the command line.
struct LabelArgument: ExpressibleByArgument {
    let name: String
    let value: String

    init?(argument: String) {
        guard let equals = argument.firstIndex(of: "=") else { return nil }
        name = String(argument[..<equals])
        value = String(argument[argument.index(after: equals)...])
        guard Name.isIdentifier(name), Name.isKey(Name.normalized(value)) else { return nil }
    }

    /// Of several with one name the last counts.
    static func dictionary(_ labels: [LabelArgument]) -> [String: String] {
        Dictionary(labels.map { ($0.name, Name.normalized($0.value)) }) { _, last in last }
    }
}
