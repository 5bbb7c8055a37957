/// Lets a test fail the store at the places where a real one fails. Nothing is injected unless a test does.
package struct StoreFaults: Sendable {
    package enum Point: Hashable, Sendable {
        case beforeTransaction
        /// After the item of this index was written, before the transaction's end.
        case afterItem(Int)
        case beforeCommit
        /// Everything is durable, only the caller has not heard of it.
        case afterCommit
        case read
    }

    /// May throw, or count.
    private let check: (@Sendable (Point) throws -> Void)?

    package static let none = StoreFaults(check: nil)

    package init(_ check: @escaping @Sendable (Point) throws -> Void) { self.check = check }

    private init(check: (@Sendable (Point) throws -> Void)?) { self.check = check }

    func pass(_ point: Point) throws {
        if let check { try check(point) }
    }
}
