// What docs/effects.md shows of children. Each part between "begin" and "end" stands there word for word.

import Perdure

struct Parcel: Codable { var item: String }

struct Ship: Workflow {
    static let name = "ship"
    static let version: WorkflowVersion = "1"
    static let owner = "shop"
    func run(_ parcel: Parcel, _ context: WorkflowContext) async throws -> String { parcel.item }
}

struct ChildExamples {
    let carrier: any Carrier

    protocol Carrier: Sendable {
        func recall(_ tracking: String, key: String) async throws
    }

    func one(_ parcel: Parcel, _ context: WorkflowContext) async throws {
        // begin child
        let tracking = try await context.child(
            Ship.self, input: parcel,
            undo: { tracking, step in try await carrier.recall(tracking, key: step.idempotencyKey) })
        // end child
        _ = tracking
    }

    func many(_ parcels: [Parcel], _ context: WorkflowContext) async throws -> [String] {
        // begin children
        try await withThrowingTaskGroup(of: String.self) { group in
            for parcel in parcels {
                group.addTask {
                    try await context.child(Ship.self, id: parcel.item, input: parcel, irreversible: "it is on its way")
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        // end children
    }

    func own(_ parcel: Parcel, _ context: WorkflowContext) async throws {
        // begin detached
        let run = try await context.startChild(Ship.self, input: parcel, irreversible: "it is on its way")
        // end detached
        _ = run
    }
}

enum Feed {
    static func entries(after last: Int) async throws -> [Int] { [] }
}

// begin loop
struct Watch: Workflow {
    static let name = "watch"
    static let version: WorkflowVersion = "1"
    static let owner = "shop"

    func run(_ last: Int, _ context: WorkflowContext) async throws -> Nothing {
        let entries = try await context.read("entries", input: last) { last, _ in try await Feed.entries(after: last) }
        for entry in entries {
            try await context.startChild(
                Ship.self, id: "\(entry)", input: Parcel(item: "\(entry)"), irreversible: "it is on its way")
        }
        try await context.sleep(for: .hours(1))
        try await context.continueAsNew(Watch.self, input: entries.last ?? last)
    }
}
// end loop
