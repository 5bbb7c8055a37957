/// How the peer answers one operation, or one group of operations: the misfortunes a test wants to see.
///
/// The counters say how many of the next requests are concerned; they are written back in the ledger
/// transaction of the request that used them up, so that a restart neither loses nor repeats one.
package struct Behaviour: Equatable, Sendable {
    /// What the peer does with an `Idempotency-Key`.
    package enum Keys: String, Codable, Sendable {
        /// A repeated key is recognised; the recorded answer is given again.
        case honour
        /// Keys are neither looked up nor remembered; every request does its work.
        case ignore
    }

    /// Whether keys are recognised.
    package var keys = Keys.honour
    /// Milliseconds between the work and its answer.
    package var delayMilliseconds = 0
    /// The next so many requests do their work and are answered 500.
    package var failAfterEffect = 0
    /// The next so many requests are answered 503 and do nothing.
    package var failBefore = 0
    /// The next so many requests do their work; then the connection is closed without an answer.
    package var dropAfterEffect = 0
    /// The next so many requests are answered 429 with `Retry-After: 1` and do nothing.
    package var rateLimit = 0
    /// Requests do their work and stay unanswered until they are released.
    package var hold = false
    /// Every request is answered 503 and does nothing.
    package var down = false

    /// The peer at its best: keys honoured, answers at once.
    package init() {}
}

/// What the peer knows about the idempotency key of a request.
package enum KeyRecognition: Equatable, Sendable {
    /// The request carries no key, or one never seen before.
    case unknown
    /// A finished request had this key and the same body.
    case sameBody
    /// A finished request had this key and another body.
    case otherBody
    /// A request with this key has not been answered yet.
    case inProgress
}

/// What becomes of one request.
package enum Decision: Equatable, Sendable {
    /// Why a request is turned away without an effect.
    package enum Refusal: Equatable, Sendable {
        case down
        case rateLimited
        case unavailable
        case keyInProgress
        case keyReused
    }

    /// Whether the work is done, or its recorded answer is given again.
    package enum Work: Equatable, Sendable {
        case perform
        case replay
    }

    /// How the exchange ends once the work is committed.
    package enum Ending: Equatable, Sendable {
        case answer
        case fail
        case drop
    }

    /// Everything that happens after the commit, in the order of the fields.
    package struct After: Equatable, Sendable {
        package var delayMilliseconds = 0
        package var held = false
        package var ending = Ending.answer

        /// Answer at once, with what the work says.
        package init(delayMilliseconds: Int = 0, held: Bool = false, ending: Ending = .answer) {
            self.delayMilliseconds = delayMilliseconds
            self.held = held
            self.ending = ending
        }
    }

    case refuse(Refusal)
    case proceed(Work, After)
}

extension Behaviour {
    /// Decides about one request and uses up the counter concerned.
    ///
    /// What stands in front of the work comes first, in the order `down`, `rateLimit`, `failBefore`; then the key; then,
    /// for recognised requests as for new ones, what follows the work: a network does not know which of the two it loses.
    /// A request refused for its key uses up no counter. Where both counters stand, `dropAfterEffect` goes first.
    package mutating func decide(_ recognition: KeyRecognition) -> Decision {
        if down { return .refuse(.down) }
        if rateLimit > 0 {
            rateLimit -= 1
            return .refuse(.rateLimited)
        }
        if failBefore > 0 {
            failBefore -= 1
            return .refuse(.unavailable)
        }
        switch (keys, recognition) {
        case (.ignore, _), (.honour, .unknown): return .proceed(.perform, after())
        case (.honour, .sameBody): return .proceed(.replay, after())
        case (.honour, .otherBody): return .refuse(.keyReused)
        case (.honour, .inProgress): return .refuse(.keyInProgress)
        }
    }

    private mutating func after() -> Decision.After {
        var after = Decision.After(delayMilliseconds: delayMilliseconds, held: hold)
        if dropAfterEffect > 0 {
            dropAfterEffect -= 1
            after.ending = .drop
        } else if failAfterEffect > 0 {
            failAfterEffect -= 1
            after.ending = .fail
        }
        return after
    }
}
