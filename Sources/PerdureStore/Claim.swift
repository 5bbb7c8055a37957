package import Perdure
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
    /// Runs of other workflows are left alone, but for those with an unread message that needs no code (`Wake.anyone`).
    package var hosted: [Hosted]
    package var limit: Int
    /// Claim only these runs (by number), if they are claimable; `nil` for any.
    package var only: [Int64]?
    /// Runs that become due within so much time count as due: whoever brings them into memory needs that time.
    package var ahead: Duration

    package init(
        node: NodeID, build: String, hosted: [Hosted], limit: Int, only: [Int64]? = nil, ahead: Duration = .zero
    ) {
        self.node = node
        self.build = build
        self.hosted = hosted
        self.limit = limit
        self.only = only
        self.ahead = ahead
    }
}

extension ClaimRequest {
    /// What a claim adds to the history of a run whose owner has died.
    package var takeover: EventDraft {
        EventDraft(
            .runResumed,
            attributes: .make(("build", .string(build)), ("clean", .bool(false)), ("node", .string(node.rawValue))))
    }
}

/// What a claim has come to.
package struct Claimed: Sendable {
    package var runs: [ClaimedRun] = []
    /// Runs that had something to do but whose row or last event cannot be read: they are quarantined by now.
    package var setAside: [BrokenRun] = []
    /// Nothing was looked at: the store's history went back, and is to be recovered first.
    package var isHeld = false

    package init(runs: [ClaimedRun] = [], setAside: [BrokenRun] = [], isHeld: Bool = false) {
        self.runs = runs
        self.setAside = setAside
        self.isHeld = isHeld
    }
}

/// A run that cannot be read.
package struct BrokenRun: Sendable, Hashable {
    package var number: Int64
    /// Unknown if not even that can be read.
    package var id: RunID?
    package var reason: String

    package init(number: Int64, id: RunID?, reason: String) {
        self.number = number
        self.id = id
        self.reason = reason
    }
}

/// A run that now belongs to the node.
package struct ClaimedRun: Sendable {
    /// After the claim: with the new epoch, the node as its owner, and `running`. A terminated run stays `terminated`: it is lent out
    /// for what may follow its end, and nobody sees it open again.
    package var record: RunRecord
    /// The state before the claim, with what the claim has taken out of the row.
    package var previous: RunState
    package var previousWakeAt: Timestamp?
    package var previousNote: String?
    /// The last event of the history; after a take-over this is the `run.resumed` of the claim.
    package var head: ChainHead
    /// Whether the owner before died without releasing the run. Never so for a terminated run, of which nothing was going on.
    package var isTakeover: Bool

    package init(
        record: RunRecord, previous: RunState, previousWakeAt: Timestamp? = nil, previousNote: String? = nil, head: ChainHead,
        isTakeover: Bool
    ) {
        self.record = record
        self.previous = previous
        self.previousWakeAt = previousWakeAt
        self.previousNote = previousNote
        self.head = head
        self.isTakeover = isTakeover
    }
}
