package import Perdure
import PerdureHistory
package import PerdureStore

/// Writes histories down, line by line, in the form of `HistoryLine`. It reads a page of events at a time, so that a history may have any
/// length.
package struct HistoryExporter {
    package struct Options: Sendable {
        /// Salts let a replay draw the same random numbers, and digests of values be checked, and be guessed.
        package var withSalt: Bool
        /// Of values above 64 KiB only digest and size are written.
        package var leavesOutLargeValues: Bool

        package init(withSalt: Bool = false, leavesOutLargeValues: Bool = false) {
            self.withSalt = withSalt
            self.leavesOutLargeValues = leavesOutLargeValues
        }
    }

    private let client: Client
    private let options: Options
    private let living: Set<NodeID>
    /// Whether the same history always has to give the same bytes: how often the run was lent out since is left out then.
    private let isArchive: Bool
    private let write: ([UInt8]) throws -> Void
    package private(set) var runs = 0
    package private(set) var events = 0
    /// Runs whose history could not be read to its end, and why.
    package private(set) var broken: [(run: RunID, message: String)] = []

    /// Writes the beginning of the file.
    ///
    /// - Parameter write: Takes lines, each with its break.
    package init(_ client: Client, _ options: Options = Options(), write: @escaping ([UInt8]) throws -> Void) async throws {
        self.client = client
        self.options = options
        self.write = write
        isArchive = false
        living = Set(try await client.livingNodes().map(\.id))
        try put(.file(HistoryLine.File(store: client.store.identity, exportedAt: client.store.now())))
    }

    /// Writes the beginning of a file for an archive: of one closed run, with its salt, and the same whoever writes it.
    ///
    /// - Parameter end: The time of the last event.
    init(archiving client: Client, at end: Timestamp, write: @escaping ([UInt8]) throws -> Void) throws {
        self.client = client
        self.write = write
        options = Options(withSalt: true)
        living = []
        isArchive = true
        try put(.file(HistoryLine.File(store: client.store.identity, exportedAt: end)))
    }

    /// Writes a run as it is at this moment.
    ///
    /// - Throws: What `write` throws, and `PerdureError` if the store fails. A history that does not hold together is written as far as it
    ///   does, and counted in ``broken``.
    package mutating func export(_ run: RunRecord) async throws {
        var (record, end, unreadable) = try await standing(of: run)
        if isArchive { record.epoch = 0 }
        try put(.run(ExportedRun(record, withSalt: options.withSalt, isOrphaned: isOrphaned(record))))
        var head = record.tombstone?.head ?? .start(namespace: record.namespace, run: record.id.description)
        var count = 0, message = unreadable ?? (end == nil ? "The run has no events." : nil)
        do {
            var pages = try await message == nil ? pages(of: record, end: end) : RecordedPages([])
            while let page = try await pages.next() {
                for event in page { try put(.event(event)) }
                head = page.last.map { ChainHead(after: $0) } ?? head
                count += page.count
            }
        } catch let error as HistoryReader.Failure {
            message = try Self.reason(error)
        }
        if let message { broken.append((run.id, message)) }
        try put(.runEnd(HistoryLine.RunEnd(events: count, hash: head.hash, broken: message)))
        runs += 1
        events += count
    }

    /// Writes the end of the file.
    package func finish() throws { try put(.fileEnd(runs: runs)) }

    private func put(_ line: HistoryLine) throws {
        try write(line.bytes(leavesOutLargeValues: options.leavesOutLargeValues) + [UInt8(ascii: "\n")])
    }

    private func isOrphaned(_ record: RunRecord) -> Bool {
        record.state == .running && record.owner.map { !living.contains($0) } ?? false
    }

    /// The run may go on while it is read: its row, and the end of the history at the same moment.
    private func standing(of run: RunRecord) async throws -> (record: RunRecord, end: ChainHead?, unreadable: String?) {
        var record = run
        while true {
            var end: ChainHead?, unreadable: String?
            do throws(StoreError) {
                end = try await client.store.events(of: record.number, before: .max, limit: 1).first.map { ChainHead(after: $0) }
            } catch {
                unreadable = try Self.reason(.store(error))
            }
            let again = try await client.record(run.id)
            if again == record { return (record, end, unreadable) }
            record = again
        }
    }

    private func pages(of record: RunRecord, end: ChainHead?) async throws -> any HistoryPages {
        guard let tombstone = record.tombstone else { return HistoryReader(client.store, record, end: end) }
        let events: [Event]
        do throws(StoreError) {
            events = try await client.store.events(of: record.number, after: tombstone.lastSeq, limit: 1)
        } catch {
            throw HistoryReader.Failure.store(error)
        }
        do {
            try EventChain.verify(events, run: record.id.description, from: tombstone.head)
        } catch {
            throw HistoryReader.Failure.broken(error.description)
        }
        return RecordedPages(events)
    }

    /// What is wrong with the one history.
    ///
    /// - Throws: `PerdureError` if it is the store.
    private static func reason(_ failure: HistoryReader.Failure) throws -> String {
        switch failure {
        case .broken(let reason), .store(.corrupt(let reason)), .store(.unsupported(let reason)): return reason
        case .store(let error): throw error.publicError
        }
    }
}
