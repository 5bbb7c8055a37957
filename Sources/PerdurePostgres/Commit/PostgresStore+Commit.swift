internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension PostgresStore {
    package func commit(_ items: [CommitItem]) async throws(StoreError) -> [CommitResult] {
        guard !items.isEmpty else { return [] }
        let committer = committer
        let answer = try await writer.perform { session in try committer.commit(items, session) }
        tell(answer.news)
        return answer.results
    }

    package func commitHere(_ items: [CommitItem]) throws(StoreError) -> [CommitResult] {
        guard !items.isEmpty else { return [] }
        let committer = committer
        let answer = try writer.performHere { session in try committer.commit(items, session) }
        tell(answer.news)
        return answer.results
    }

    var committer: Committer {
        guard isEngine else { return Committer(node: nil, time: options.clock?(), hasQuotas: hasQuotas) }
        return Committer(node: node, time: options.clock?(), hasQuotas: hasQuotas, recollection: recollection)
    }
}

struct CommitAnswer: Sendable {
    var results: [CommitResult] = []
    /// Whether some of the items are durable, be it that their results are not among these yet.
    var hasWritten = false
    var news = StoreNews()
}

/// Makes items durable in one transaction, or in several if the data of one of them is refused.
struct Committer: Sendable {
    /// The node of this process; nil in a client.
    let node: NodeID?
    /// The store's time, where it is not the server's.
    let time: Timestamp?
    let hasQuotas: QuotaNotice
    /// Where is kept in mind what was confirmed; nil in a client.
    var recollection: Recollection?

    func commit(_ items: [CommitItem], _ session: Session) throws -> CommitAnswer {
        var answer = CommitAnswer()
        do {
            for part in parts(of: items) { try commit(part, session, into: &answer) }
        } catch  where answer.hasWritten {
            let failure = StoreError(error)
            switch failure {
            case .unavailable, .awaitsNodes:
                // Some of them are durable. Asked again, those answer as they did.
                throw StoreError.outcomeUnknown("a part of the commit was not written: \(failure)")
            case .outcomeUnknown, .corrupt, .unsupported, .unusable, .leaseLost, .closed: throw failure
            }
        }
        return answer
    }

    /// The server takes a gigabyte at once at most, and keeps several times as much of it in memory.
    private static let partSize: Int64 = 64 << 20

    func parts(of items: [CommitItem]) -> [ArraySlice<CommitItem>] {
        var parts: [ArraySlice<CommitItem>] = []
        var rest = items[...], size: Int64 = 0
        for index in items.indices {
            size += items[index].valueSize
            guard size > Self.partSize, index > rest.startIndex else { continue }
            parts.append(rest[..<index])
            rest = rest[index...]
            size = items[index].valueSize
        }
        return parts + [rest]
    }

    /// Cut in halves until what the server does not take stands alone: the others do not share its fate.
    ///
    /// - Parameter asksFirst: every item is decided by what is read before, also those that only append.
    private func commit(
        _ items: ArraySlice<CommitItem>, _ session: Session, asksFirst: Bool = false, into answer: inout CommitAnswer
    ) throws {
        do {
            try together(items, asksFirst ? Appends() : Appends(among: items), session, into: &answer)
        } catch {
            let reason: String
            switch error {
            case let failure as ServerFailure where failure.isAboutData: reason = failure.description
            case let bad as BadRow: reason = bad.description
            case is Entangled: reason = "its parts depend on each other"
            default: throw error
            }
            guard items.count > 1 else {
                answer.results.append(.refused(.invalid(reason)))
                return
            }
            let middle = items.startIndex + items.count / 2
            try commit(items[..<middle], session, asksFirst: asksFirst, into: &answer)
            try commit(items[middle...], session, asksFirst: asksFirst, into: &answer)
        }
    }

    /// In one transaction. An advance that does not stand on its history any more is decided in another one, which looks at what became of
    /// the run.
    private func together(
        _ items: ArraySlice<CommitItem>, _ appends: Appends, _ session: Session, into answer: inout CommitAnswer
    ) throws {
        let others = zip(items.indices, items).filter { appends.runs[$0.0] == nil }.map(\.1)
        let wishes = CommitWishes(others)
        if wishes.isEntangled, items.count > 1 { throw Entangled() }
        let (facts, decided, news) = try session.untilNotOvertaken {
            try session.transaction {
                if others.isEmpty {
                    let facts = try CommitFacts(writing: appends, node: node, time: time, hasQuotas, session)
                    return (facts, [CommitResult](), StoreNews())
                }
                let facts = try CommitFacts(for: wishes, appends, node: node, time: time, hasQuotas, session)
                let group = CommitGroup(facts, session)
                let results = try others.map { try group.apply($0) }
                try session.pipeline { pipe in
                    try group.writes.send(group.facts, pipe)
                    try pipe.commit()
                }
                return (facts, results, group.news)
            }
        }
        answer.hasWritten = true
        answer.news.merge(news)
        var rest = decided.makeIterator()
        let results = items.indices.map { place in
            guard let run = appends.runs[place] else { return rest.next() }
            return facts.shut.contains(run) ? nil : .advanced
        }
        recollection?.note(items, results, facts)
        let left = zip(items, results).filter { $1 == nil }.map(\.0)
        var late = CommitAnswer()
        if !left.isEmpty { try commit(left[...], session, asksFirst: true, into: &late) }
        answer.news.merge(late.news)
        rest = late.results.makeIterator()
        answer.results += results.compactMap { $0 ?? rest.next() }
    }
}

extension Session {
    /// How often another node may be faster before it is said to the caller.
    private static let tries = 20
    private static let overtaken = StoreError.unavailable("other nodes were faster again and again")

    /// Does the work again as long as another node comes in between. Nothing of a try that was overtaken is left.
    func untilNotOvertaken<Result>(_ work: () throws -> Result) throws -> Result {
        for _ in 1..<Self.tries {
            do {
                return try work()
            } catch is Overtaken {
                continue
            } catch let failure as ServerFailure where failure.isOvertaking {
                continue
            }
        }
        do {
            return try work()
        } catch is Overtaken {
            throw Self.overtaken
        } catch let failure as ServerFailure where failure.isOvertaking {
            throw Self.overtaken
        }
    }
}

extension ServerFailure {
    /// Whether it is due to another transaction that was faster: made the same run or took the same key, or waits for us as we do for it.
    var isOvertaking: Bool {
        isRetryable || isUnique("runs_ids") || isUnique("runs_keys") || isUnique("business_keys_names")
            || isUnique("schedules_names")
    }
}

extension CommitItem {
    /// The bytes of its values, which are most of what it sends.
    fileprivate var valueSize: Int64 {
        switch self {
        case .create(let run): run.events.valueSize
        case .advance(let advance):
            advance.events.valueSize + advance.children.reduce(0) { $0 + $1.events.valueSize }
                + advance.deliveries.reduce(0) { $0 + $1.valueSize } + (advance.successor?.events.valueSize ?? 0)
        case .deliver(let delivery): delivery.valueSize
        case .beat(let heartbeat): Int64(heartbeat.details?.count ?? 0)
        case .schedule(let change):
            Int64(change.row?.document.utf8.count ?? 0) + change.starts.reduce(0) { $0 + $1.events.valueSize }
                + change.deliveries.reduce(0) { $0 + $1.valueSize }
        }
    }
}

extension Delivery {
    fileprivate var valueSize: Int64 { Int64(payload?.count ?? 0) }
}
