import Perdure
package import PerdureHistory

/// A node's wish for work.
package struct ClaimRequest: Sendable {
    /// A workflow that the node has code for.
    package struct Hosted: Sendable, Hashable {
        package var workflow: String
        package var version: String

        package init(workflow: String, version: String) {
            self.workflow = workflow
            self.version = version
        }
    }

    package var node: NodeID
    package var build: String
    /// Runs of other workflows are left alone, but for those with an unread `terminate`, which needs no code.
    package var hosted: [Hosted]
    package var limit: Int
    /// Claim only these runs (by number), if they are claimable; `nil` for any.
    package var only: [Int64]?

    package init(node: NodeID, build: String, hosted: [Hosted], limit: Int, only: [Int64]? = nil) {
        self.node = node
        self.build = build
        self.hosted = hosted
        self.limit = limit
        self.only = only
    }
}

/// A run that now belongs to the node.
package struct ClaimedRun: Sendable {
    /// After the claim: `running`, with the new epoch and the node as its owner.
    package var record: RunRecord
    /// The state before the claim.
    package var previous: RunState
    /// The last event of the history; after a take-over this is the `run.resumed` of the claim.
    package var head: ChainHead
    /// Whether the owner before died without releasing the run.
    package var isTakeover: Bool

    package init(record: RunRecord, previous: RunState, head: ChainHead, isTakeover: Bool) {
        self.record = record
        self.previous = previous
        self.head = head
        self.isTakeover = isTakeover
    }
}
