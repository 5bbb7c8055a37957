/// How much the runs of a namespace may take. What is `nil` has no limit.
///
/// A quota refuses what begins, never what is under way: runs that are open go on, and so do the runs that they start and are continued as.
/// Those count all the same.
public struct NamespaceQuotas: Sendable, Hashable {
    /// The most runs that are open at once: that have not ended and are not quarantined, in whatever state they are. 0 lets nobody start
    /// anything. Default: `nil`.
    public var openRuns: Int? { didSet { openRuns = openRuns.map { max($0, 0) } } }
    /// The most bytes of inputs and outputs in the histories of all runs, until they are removed. Default: `nil`.
    public var payloadBytes: Int64? { didSet { payloadBytes = payloadBytes.map { max($0, 0) } } }
    /// The most starts in a time. Default: `nil`.
    public var starts: Rate?

    /// Values outside a property's range are moved to its nearest end, here and when they are set later.
    public init(openRuns: Int? = nil, payloadBytes: Int64? = nil, starts: Rate? = nil) {
        self.openRuns = openRuns.map { max($0, 0) }
        self.payloadBytes = payloadBytes.map { max($0, 0) }
        self.starts = starts
    }

    /// Whether nothing is limited.
    public var isUnlimited: Bool { openRuns == nil && payloadBytes == nil && starts == nil }
}
