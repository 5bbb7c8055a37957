package import Perdure
package import PerdureHistory

/// The name of a queue: both parts are identifiers. A queue is never removed, so that no run loses it.
package struct QueueKey: Sendable, Hashable, Comparable {
    package var namespace: String
    package var name: String

    package init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }

    package static func < (left: QueueKey, right: QueueKey) -> Bool {
        // By bytes, as databases do it. Names are ASCII.
        if left.namespace != right.namespace { return left.namespace.utf8.lexicographicallyPrecedes(right.namespace.utf8) }
        return left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
    }

    package var flaw: String? {
        Name.isIdentifier(namespace) && Name.isIdentifier(name) ? nil : "the name of a queue is no identifier"
    }
}

/// A queue as people look at it.
package struct QueueStanding: Sendable, Hashable {
    package var queue: QueueKey
    package var limits: QueueLimits
    /// Runs in the line. Those that are paused, or lent out for a message, are not in it.
    package var waiting: Int
    /// How many keys have runs in the line.
    package var waitingKeys: Int
    /// Who holds a place: admitted runs that have not ended, by their state.
    package var holders: [RunState: Int]
    package var changedBy: Principal
    package var changedAt: Timestamp

    package init(
        queue: QueueKey, limits: QueueLimits, waiting: Int, waitingKeys: Int, holders: [RunState: Int], changedBy: Principal,
        changedAt: Timestamp
    ) {
        self.queue = queue
        self.limits = limits
        self.waiting = waiting
        self.waitingKeys = waitingKeys
        self.holders = holders
        self.changedBy = changedBy
        self.changedAt = changedAt
    }

    /// How many places are taken.
    package var held: Int { holders.values.reduce(0, +) }
}

/// Where an open run of a queue stands.
package struct QueuePosition: Sendable, Hashable {
    package var queue: QueueKey
    package var key: String
    package var priority: Int
    package var isAdmitted: Bool
    /// How many runs of its key go before it, counted up to ``most``; `nil` if it does not stand in the line.
    package var ahead: Int?

    /// As far as is counted.
    package static let most = 1_000

    package init(queue: QueueKey, key: String, priority: Int, isAdmitted: Bool, ahead: Int?) {
        self.queue = queue
        self.key = key
        self.priority = priority
        self.isAdmitted = isAdmitted
        self.ahead = ahead
    }
}

/// What a call of `Store.admit` has come to.
package struct Admission: Sendable, Hashable {
    /// Runs that were given places: they are `ready` now.
    package var admitted: Int
    /// When there is cause to call again, if nothing is committed until then; it may be past. `nil` if there is none.
    package var next: Timestamp?
    /// Why some queues could not be admitted from, while others could.
    package var trouble: String?

    package init(admitted: Int = 0, next: Timestamp? = nil) {
        self.admitted = admitted
        self.next = next
    }
}

// MARK: Runs that are not admitted

extension NewRun {
    /// Why it cannot begin as it says, with its place or without one.
    package var flawOfPlace: String? {
        guard let place else {
            return record.state == .queued ? "a run that is queued needs a place in a queue" : nil
        }
        if let flaw = place.flaw { return flaw }
        guard record.state == .queued, record.owner == nil, record.origin == nil else {
            return "a run with a place in a queue begins queued and without an owner"
        }
        return nil
    }
}

extension RunTransition {
    /// The state that it leads to. Whoever gives a run back need not know whether it was admitted: one that was not does not become
    /// ready, it goes back to its line.
    package func landing(isAdmitted: Bool) -> RunState { state == .ready && !isAdmitted ? .queued : state }

    /// Why a run cannot change its state so: nothing of one that is not admitted was executed, and an admitted one waits in no line.
    package func flaw(isAdmitted: Bool) -> String? {
        switch state {
        case .queued: isAdmitted ? "a run that is admitted, or has no queue, is not queued" : nil
        case .waiting, .parked, .blocked, .completed:
            isAdmitted ? nil : "a run that was not admitted has executed nothing, so that it cannot be \(state.rawValue)"
        case .ready, .running, .paused, .quarantined, .failed, .cancelled, .terminated: nil
        }
    }
}

extension RunRecord {
    package func landing(of transition: RunTransition) -> RunState { transition.landing(isAdmitted: isAdmitted) }
    package func flaw(of transition: RunTransition) -> String? { transition.flaw(isAdmitted: isAdmitted) }

    /// Whether the row is as a transition has left it.
    package func stands(as transition: RunTransition) -> Bool {
        // When a queued run is due its place says.
        state == landing(of: transition) && (state == .queued || wakeAt == transition.wakeAt)
    }
}

// MARK: The rule of admission

/// What a queue may still give away, and to whom: the part of admission that all stores share.
package enum QueueTurns {
    /// The most runs that are admitted in one transaction.
    package static let atOnce = 512

    /// How many runs of each of so many keys fit into the room, of one at least: there are at most as many keys as there is room for.
    package static func quota(_ room: Int, keys: Int) -> Int { max(1, room / max(keys, 1)) }
}
