internal import ArgumentParser
internal import PerdureStore

/// How the state of a run is named on the command line: as the engine names it, or `continued`, which is one of those that are completed.
enum StateArgument {
    private static let continued = "continued"
    static let all = (RunState.allCases.map(\.rawValue) + [continued]).joined(separator: ", ")

    static func read(_ text: String) throws -> String {
        guard text == continued || RunState(rawValue: text) != nil else {
            throw ValidationError("'\(text)' is no state; there are \(all).")
        }
        return text
    }

    /// The states in which the store has the runs with one of these names.
    static func states(_ names: [String]) -> [RunState] { names.map { RunState(rawValue: $0) ?? .completed } }

    /// Whether the run has one of these names; no name is every one.
    static func fits(_ record: RunRecord, _ names: [String]) -> Bool {
        names.isEmpty || names.contains(record.state.rawValue) || names.contains(record.stateName)
    }
}
