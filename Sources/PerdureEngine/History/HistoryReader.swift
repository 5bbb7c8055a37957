import Perdure
import PerdureHistory
import PerdureStore

/// Reads a run's history page by page. A page is given out only after its chain has been checked, and the beginning compared to the
/// run's row; so whoever reads to the end has seen a history that holds together.
struct HistoryReader: HistoryPages {
    enum Failure: Error {
        /// With the first place that is wrong.
        case broken(String)
        case store(StoreError)
    }

    private let store: any Store
    private let record: RunRecord
    /// Where the history has to end; nil reads to whatever is its end by then.
    private let end: ChainHead?
    private let limit: Int
    private(set) var head: ChainHead
    /// The versions that the run has been on, up to here.
    private var versions: [String] = []
    /// The first page, if it was read already.
    private var beginning: [Event]?
    /// The next page, which is read while the one before is checked.
    private var coming: Task<Result<[Event], StoreError>, Never>?
    private let runtime: EngineRuntime

    /// - Parameter beginning: The first events, as they were read from the store.
    init(
        _ store: any Store, _ record: RunRecord, end: ChainHead? = nil, limit: Int = 1_000, beginning: [Event]? = nil,
        runtime: EngineRuntime = .threads
    ) {
        self.store = store
        self.runtime = runtime
        self.record = record
        self.end = end
        self.limit = limit
        head = .start(namespace: record.namespace, run: record.id.description)
        // What reaches beyond the end is not what was asked for.
        if let last = beginning?.last, last.seq <= end?.seq ?? .max { self.beginning = beginning }
    }

    /// The next events, or nil after the last.
    mutating func next() async throws(Failure) -> [Event]? {
        if let end, head.seq >= end.seq { return nil }
        let page = try await read()
        if head.seq == 0 { try checkBeginning(page.first) }
        guard !page.isEmpty else {
            guard let end else {
                try checkVersion()
                return nil
            }
            throw .broken("The history of run \(record.id) ends with event \(head.seq), but has had event \(end.seq) before.")
        }
        readAhead(of: page)
        do throws(ChainBreak) {
            head = try EventChain.verify(page, run: record.id.description, from: head)
        } catch {
            throw .broken(error.description)
        }
        if let end, head.seq == end.seq, head.hash != end.hash {
            throw .broken("The history of run \(record.id) does not end with the event that it had at its end before.")
        }
        note(versionsIn: page)
        if let end, head.seq == end.seq { try checkVersion() }
        return page
    }

    private mutating func read() async throws(Failure) -> [Event] {
        if let page = beginning.take() { return page }
        var result = await coming.take()?.value
        if result == nil { result = await Self.read(store, record.number, after: head.seq, limit(after: head.seq)) }
        switch result {
        case nil: return []
        case .success(let page): return page
        case .failure(.corrupt(let message)): throw .broken(message)
        case .failure(let error): throw .store(error)
        }
    }

    private mutating func readAhead(of page: [Event]) {
        guard let last = page.last, last.seq < end?.seq ?? .max else { return }
        let store = store, run = record.number, limit = limit(after: last.seq)
        coming = runtime.spawn { await Self.read(store, run, after: last.seq, limit) }
    }

    private func limit(after seq: Int64) -> Int { Int(min(Int64(limit), end.map { $0.seq - seq } ?? .max)) }

    private static func read(_ store: any Store, _ run: Int64, after seq: Int64, _ limit: Int) async -> Result<
        [Event], StoreError
    > {
        do throws(StoreError) {
            return .success(try await store.events(of: run, after: seq, limit: limit))
        } catch {
            return .failure(error)
        }
    }

    private func checkBeginning(_ first: Event?) throws(Failure) {
        guard let first, first.kind == .runStarted else {
            throw .broken("The history of run \(record.id) does not begin with run.started.")
        }
        let attributes = (try? first.attributes.object()) ?? JSONObject()
        guard attributes["workflow"]?.stringValue == record.workflow else {
            throw .broken("The row of run \(record.id) names another workflow or version than its history.")
        }
    }

    private mutating func note(versionsIn page: [Event]) {
        for event in page where event.kind == .runStarted || event.kind == .runRepinned {
            let attributes = (try? event.attributes.object()) ?? JSONObject()
            versions.append(attributes[event.kind == .runStarted ? "version" : "to"]?.stringValue ?? "")
        }
    }

    /// Where the end is given, the row is of the same moment. Otherwise the history may have gone on since the row was read.
    private func checkVersion() throws(Failure) {
        guard end == nil ? versions.contains(record.version) : versions.last == record.version else {
            throw .broken("The row of run \(record.id) names another workflow or version than its history.")
        }
    }
}
