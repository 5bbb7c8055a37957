/// One request on its way to the ledger, as the desk understood it.
struct Errand: Sendable {
    let operation: PeerOperation
    let resource: String
    let distinction: String
    let digest: BodyDigest
    let key: String?
    let attempt: String?
    let work: Work

    /// What the request does to the world, run inside the ledger's transaction.
    typealias Work = @Sendable (LedgerTransaction) throws -> WorkResult
}

/// What the work of a request came to. A `Problem` thrown instead refuses the request.
enum WorkResult: Sendable {
    /// Something happened: the effect, and what to answer.
    case done(effect: Int64, Answer)
    /// Nothing happened: it was a look, or there was nothing left to do.
    case nothing(Answer)

    var answer: Answer {
        switch self {
        case .done(_, let answer), .nothing(let answer): answer
        }
    }

    var effect: Int64? {
        switch self {
        case .done(let effect, _): effect
        case .nothing: nil
        }
    }
}

/// A status and a JSON body, as they are remembered for a repeated key.
struct Answer: Equatable, Sendable {
    var status = 200
    let json: String
}

/// What the ledger says about a request: the answer, and what happens before it is given.
struct Admission: Sendable {
    let result: Result<Answer, Problem>
    let after: Decision.After
}
