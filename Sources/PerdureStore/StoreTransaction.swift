import Perdure

/// An advance of a run together with work of its author, in one transaction of its own.
package struct StoreTransaction: Sendable {
    /// The author's work on the store's connection (`TransactionalStore.Connection`), and what is to be recorded of it. Called first. What
    /// it throws takes everything back. It may be called again for another try.
    package var work: @Sendable (Any) throws -> [UInt8]
    /// The advance that records it, on top of where the run stands; `nil` if the run has no use for it any more, which takes everything
    /// back. Called when the work is done, on the store's own thread, and must not wait.
    package var record: @Sendable ([UInt8]) -> RunAdvance?
    /// How long the work may take at most. The store may allow less.
    package var limit: Duration
    /// The advance of an earlier try of which it is not known whether it is durable. If it is, nothing is done again.
    package var earlier: RunAdvance?

    package init(
        limit: Duration, earlier: RunAdvance? = nil, work: @escaping @Sendable (Any) throws -> [UInt8],
        record: @escaping @Sendable ([UInt8]) -> RunAdvance?
    ) {
        self.limit = limit
        self.earlier = earlier
        self.work = work
        self.record = record
    }
}

package enum TransactionResult: Sendable {
    /// The work and this advance are durable.
    case committed(RunAdvance)
    /// Nothing is: the work has thrown, or the store has stopped it, for this reason.
    case rolledBack(String?, isRetryable: Bool = true)
    /// Nothing is: the advance was refused.
    case refused(CommitRefusal)
    /// Nothing is: there was nothing to record.
    case withdrawn
}
