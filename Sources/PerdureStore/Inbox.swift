package import Perdure
package import PerdureHistory

/// What can be put into a run's inbox from outside.
package enum InboxKind: String, Sendable, Hashable, CaseIterable {
    /// `name` is the signal's name.
    case signal
    /// `name` is the update's name; the reply bears the delivery's id.
    case update
    /// `name` is the subject of the step; the payload is a `Decision`.
    case decision
    /// `name` is the subject of the question; the payload is the answer.
    case answer
    case cancel
    case terminate
    /// Starts nothing more until `unpause`; the payload, if there is one, is the reason.
    case pause
    case unpause
    /// The run goes on with the code of another version; the payload is its name.
    case repin
    /// The run goes on from an earlier point of its history; the payload says from where, and what becomes of what it had done since.
    case reset
    /// `name` is the subject of a dead letter or of a step in doubt: try again.
    case retry
    /// `name` is the subject of a step in doubt; the payload is a `Resolution`.
    case resolve
    /// What the lost part of the run's history may have sent has been looked at; the payload, if there is one, is the reason.
    case settleLoss = "settle_loss"
    /// `name` is the subject of a step that waited for a business key; the key's holder has settled.
    case keySettled = "key_settled"
    /// Of a kind that a later release sends, or damaged. Never sent; the run refuses it when it meets it.
    case unreadable
    /// `name` is the subject of a child that has ended; the payload is a `ChildResult`.
    case childResult = "child_result"
}

extension InboxKind {
    /// Whether a message to a run that was continued is one to the run that it was continued as. The others speak of something that the
    /// run itself has asked.
    package var followsRun: Bool {
        switch self {
        case .signal, .update, .cancel, .terminate, .pause, .unpause, .repin, .settleLoss: true
        case .decision, .answer, .retry, .resolve, .reset, .keySettled, .unreadable, .childResult: false
        }
    }
}

/// A message for a run. It is durable before the sender is told "accepted", and it wakes the run by existing.
package struct Delivery: Sendable, Hashable {
    package var run: RunID
    /// Remembered as long as the run exists: the same id is taken in once, and refused with another payload.
    package var id: String
    package var kind: InboxKind
    package var name: String
    package var payload: [UInt8]?
    package var sender: Principal
    /// If given: a run of another namespace is not there for it. Not a part of the message.
    package var within: String?

    package init(to run: RunID, id: String, kind: InboxKind, name: String = "", payload: [UInt8]? = nil, sender: Principal) {
        self.run = run
        self.id = id
        self.kind = kind
        self.name = name
        self.payload = payload
        self.sender = sender
    }
}

/// A message that a run has taken in, as far as it is remembered.
package struct KnownDelivery: Sendable, Hashable {
    /// SHA-256 of the run's salt and the payload, which may be empty; nil if a release took it in that did not remember it.
    package var digest: [UInt8]?

    package init(digest: [UInt8]?) { self.digest = digest }

    package init(payload: [UInt8]?, salt: [UInt8]) {
        digest = SaltedDigest.bytes(salt: salt, canonicalBytes: payload ?? [])
    }

    /// Whether a message with this payload is the same one sent again, as far as can be told.
    package func isSame(as payload: [UInt8]?, salt: [UInt8]) -> Bool {
        digest == nil || self == KnownDelivery(payload: payload, salt: salt)
    }

    /// What a store answers to a message of its id.
    package func answer(to delivery: Delivery, salt: [UInt8]) -> CommitResult {
        isSame(as: delivery.payload, salt: salt) ? .delivered(isDuplicate: true) : .refused(.deliveryIDTaken)
    }
}

extension Delivery {
    /// Whether a run of the namespace is there for it.
    package func reaches(_ namespace: String) -> Bool { within == nil || within == namespace }
}

/// An unread message as it stands in the store.
package struct InboxRow: Sendable, Hashable {
    package var number: Int64
    package var run: Int64
    /// When the store accepted it.
    package var at: Timestamp
    package var delivery: Delivery

    package init(number: Int64, run: Int64, at: Timestamp, delivery: Delivery) {
        self.number = number
        self.run = run
        self.at = at
        self.delivery = delivery
    }
}

/// The first unread messages of a run, in the order of their numbers: as many as a page may have, and fewer where they are large.
package struct InboxPage: Sendable, Hashable {
    package var rows: [InboxRow]
    /// Whether there are unread messages behind these.
    package var hasMore: Bool

    package init(rows: [InboxRow], hasMore: Bool) {
        self.rows = rows
        self.hasMore = hasMore
    }

    /// The bytes of all payloads.
    package var valueSize: Int64 { rows.reduce(0) { $0 + Int64($1.delivery.payload?.count ?? 0) } }

    /// How many rows a page may have, and how many bytes of payloads end it.
    package static let limit = 1_000
    package static let size = 4 << 20
}

/// A page of messages in the making.
package struct PageOfRows {
    package private(set) var page = InboxPage(rows: [], hasMore: false)
    private let limit: Int
    private let known: Set<Int64>
    private var size = 0

    package init(limit: Int = InboxPage.limit, except known: Set<Int64> = []) {
        self.limit = limit
        self.known = known
    }

    /// Returns whether there is room for another one.
    package mutating func add(_ row: InboxRow) -> Bool {
        if known.contains(row.number) { return true }
        guard page.rows.count < limit, size < InboxPage.size else {
            page.hasMore = true
            return false
        }
        page.rows.append(row)
        size += row.delivery.payload?.count ?? 0
        return true
    }
}
