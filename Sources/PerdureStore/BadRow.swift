/// A stored or given value that cannot be what it claims to be. Says which, never crashes.
package struct BadRow: Error, CustomStringConvertible {
    package let description: String
    /// Whether a later release may know what this one does not: then the row is no damage.
    package let isFromLater: Bool

    package init(_ description: String, isFromLater: Bool = false) {
        // It quotes what it complains of, and is stored itself where a run is set aside for it.
        self.description = description.legible
        self.isFromLater = isFromLater
    }
}
