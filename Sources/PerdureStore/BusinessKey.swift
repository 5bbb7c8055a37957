package import Perdure
import PerdureHistory

/// A name the business gives to one effect ("charge order 7"), unique in its namespace and for its step name, across runs.
package struct BusinessKey: Sendable, Hashable {
    package var namespace: String
    package var step: String
    package var key: String

    package init(namespace: String, step: String, key: String) {
        self.namespace = namespace
        self.step = step
        self.key = key
    }
}

/// Who holds a business key, and what came of it.
package struct BusinessKeyRecord: Sendable, Hashable {
    package enum Outcome: Sendable, Hashable {
        case open
        /// It happened: the recorded output, to be adopted by others who ask for the same.
        case happened(output: [UInt8])
        /// Nobody holds it any more; `holder` is the last one that did, `generation` the one that the next taker names.
        case free
    }

    package var key: BusinessKey
    /// Part of the idempotency key; grows each time the key becomes free again.
    package var generation: Int
    package var holder: RunID
    package var subject: String
    /// SHA-256 over the canonical input, unsalted because it is compared across runs.
    package var inputDigest: String
    package var outcome: Outcome

    package init(key: BusinessKey, generation: Int, holder: RunID, subject: String, inputDigest: String, outcome: Outcome) {
        self.key = key
        self.generation = generation
        self.holder = holder
        self.subject = subject
        self.inputDigest = inputDigest
        self.outcome = outcome
    }
}

/// A run that waits for a business key, as the store remembers it.
package struct BusinessKeyWait: Sendable, Hashable {
    /// The step that waits.
    package var subject: String
    package var record: BusinessKeyRecord

    package init(subject: String, record: BusinessKeyRecord) {
        self.subject = subject
        self.record = record
    }
}

/// Taken in the commit of the step's intent. A key that the same step of the same run holds already is no conflict.
package struct BusinessKeyTake: Sendable, Hashable {
    package var key: BusinessKey
    package var generation: Int
    package var subject: String
    package var inputDigest: String

    package init(key: BusinessKey, generation: Int, subject: String, inputDigest: String) {
        self.key = key
        self.generation = generation
        self.subject = subject
        self.inputDigest = inputDigest
    }
}

/// Written in the commit of the step's end. Everybody who waits for the key gets an inbox row in the same commit. Of a step that does
/// not hold the key it changes nothing.
package struct BusinessKeySettlement: Sendable, Hashable {
    package enum End: Sendable, Hashable {
        case happened(output: [UInt8])
        /// It happened and is being undone: nobody adopts its outcome any more, and who asks waits until the undo is settled. Written with
        /// the undo's first event. No waiter is told: nothing is settled.
        case undoing
        /// Undone, or did not happen and never will: the key is free again, with the next generation.
        case free
    }

    package var key: BusinessKey
    /// The step that has taken the key, in the run that commits.
    package var subject: String
    package var end: End

    package init(key: BusinessKey, subject: String, end: End) {
        self.key = key
        self.subject = subject
        self.end = end
    }
}
