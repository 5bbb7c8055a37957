/// A named, versioned piece of code whose runs survive crashes, deploys and long waits.
///
/// The code between two calls of the context has to be deterministic: it is executed again, from its beginning, whenever a run
/// is brought back into memory, and has to ask for the same operations in the same order. Everything that touches the outside
/// world belongs in `read`, `step` or `act`. `docs/determinism.md` lists what is detected and what is not.
public protocol Workflow: Sendable {
    associatedtype Input: Codable & Sendable
    associatedtype Output: Codable & Sendable

    /// The name runs are started by: 1 to 128 bytes of letters, digits, `-`, `_` and `.`.
    static var name: String { get }

    /// The version of this code. A run stays with the version it was started on.
    static var version: WorkflowVersion { get }

    /// Who answers for its runs: a team or a person, by the name under which they are reached; at most 256 bytes. Default: empty, nobody.
    ///
    /// A workflow with steps that may have to wait for a person's word (at most once, or with an approval) has to have one: without it a
    /// run is blocked at the first of them that has not begun, until a build comes that names an owner.
    static var owner: String { get }

    /// The workflow itself. An error thrown from here fails the run, after its completed steps were undone in reverse order.
    func run(_ input: Input, _ context: WorkflowContext) async throws -> Output
}

extension Workflow {
    // Not an optional: `static let owner = "payments"` would not be taken for one, and the default would stand in its place.
    public static var owner: String { "" }
}

/// The version of a workflow: numbers separated by dots, compared number by number, so that `1.10` comes after `1.9`. A part that is
/// no number comes after every number.
public struct WorkflowVersion: Hashable, Sendable, Codable, Comparable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// The version as it was written.
    public let description: String

    /// Takes any text; registering a workflow whose version is not valid throws `name_invalid`.
    public init(_ description: String) { self.description = description }
    public init(stringLiteral value: String) { description = value }

    public static func < (leftVersion: WorkflowVersion, rightVersion: WorkflowVersion) -> Bool {
        let left = leftVersion.components, right = rightVersion.components
        for index in 0..<max(left.count, right.count) {
            let l = index < left.count ? left[index] : "0", r = index < right.count ? right[index] : "0"
            switch (Int(l), Int(r)) {
            case (let l?, let r?): if l != r { return l < r }
            case (_?, nil): return true
            case (nil, _?): return false
            case (nil, nil): if l != r { return l < r }
            }
        }
        // `1` and `1.0` are two versions; the order has to decide between them.
        return leftVersion.description < rightVersion.description
    }

    /// Whether the text can be a version: 1 to 64 bytes, dot-separated parts of letters, digits, `-` and `_`.
    package var isValid: Bool {
        (1...64).contains(description.utf8.count) && components.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy(Name.isWordByte) }
    }

    private var components: [Substring] { description.split(separator: ".", omittingEmptySubsequences: false) }

    public init(from decoder: any Decoder) throws { description = try decoder.singleValueContainer().decode(String.self) }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// The output or input of a workflow or step that has nothing to say. `Void` cannot be recorded; this can.
public struct Nothing: Codable, Sendable, Hashable {
    /// The only value there is.
    public init() {}
}
