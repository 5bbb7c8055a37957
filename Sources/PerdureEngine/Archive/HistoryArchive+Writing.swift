import Foundation
import Perdure
import PerdureHistory
import PerdureStore

// Putting a history there, so that whatever is in its place is whole, whenever a process dies, and whoever else writes it.
extension HistoryArchive {
    /// Writes the history of a closed run, unless it is there, and reads it back. It is on the disk then, and was found to hold together.
    ///
    /// A file that stands in its place and holds this history is never replaced: another process may count on it.
    ///
    /// - Throws: `ArchiveProblem`, `CancellationError`, or `PerdureError` if the store fails.
    func keep(_ run: UnarchivedRun, of store: any Store) async throws -> ArchivedHistory {
        try onStep(.open)
        try Folders.check(path)
        let groups = CommitGroups(store), client = Client(store: store) { try await Client.commit($0, in: groups) }
        let (record, last) = try await ending(run, client)
        guard let record, let closedAt = record.closedAt, record.tombstone == nil, let last, last.seq == run.seq else {
            throw ArchiveProblem.later
        }
        let name = ArchiveName(
            namespace: record.namespace, workflow: record.workflow, run: record.id.description, closedAt: closedAt,
            head: ChainHead(after: last))
        let place = Place(folders: name.folders, file: name.file, root: path)
        if let digest = try await digest(at: place, of: last) {
            return ArchivedHistory(run: run.number, lastHash: last.hash, digest: digest)
        }
        let digest = try await write(record, client, to: place, last)
        return ArchivedHistory(run: run.number, lastHash: last.hash, digest: digest)
    }

    private struct Place {
        let folders: [String]
        let file: String
        let root: String
        var parts: [String] { folders + [file] }
        var path: String { ([root] + parts).joined(separator: "/") }
    }

    private func ending(_ run: UnarchivedRun, _ client: Client) async throws -> (RunRecord?, Event?) {
        do {
            return try await client.guarded {
                (
                    try await client.store.run(number: run.number),
                    try await client.store.events(of: run.number, before: .max, limit: 1).first
                )
            }
        } catch let error as PerdureError where error.isAboutOneHistory {
            throw ArchiveProblem.run(error.message)
        }
    }

    /// Whoever put it there may have died before it was noted, or before it and the folders were on the disk.
    ///
    /// - Returns: the SHA-256 of the file that is there, if it holds this history.
    /// - Throws: `ArchiveProblem` if the system cannot read it: of the folder if no file can be opened, else of this run.
    private func digest(at place: Place, of last: Event) async throws -> [UInt8]? {
        guard FileManager.default.fileExists(atPath: place.path) else { return nil }
        try Folders.syncFile(place.path)
        let report = try await ArchiveReport.make(place.path, place: place.parts)
        if report.isUnreadable { throw ArchiveProblem.run(report.problems.joined(separator: " ")) }
        guard report.isSound, report.head?.hash == last.hash else { return nil }
        try syncFolders(of: place)
        return report.digest
    }

    /// - Returns: the SHA-256 of the file.
    private func write(_ record: RunRecord, _ client: Client, to place: Place, _ last: Event) async throws -> [UInt8] {
        let partial = try PartialFile(below: path)
        do {
            var exporter = try HistoryExporter(archiving: client, at: last.at) { line in
                if Task.isCancelled { throw CancellationError() }
                try onStep(.write)
                try partial.write(line)
            }
            try await exporter.export(record)
            try exporter.finish()
            if let broken = exporter.broken.first { throw ArchiveProblem.run(broken.message) }
            try onStep(.sync)
            let written = try partial.sync()
            try onStep(.check)
            try await check(partial, written, place, last)
            var folder = path
            for part in place.folders {
                folder += "/\(part)"
                try Folders.make(folder)
            }
            try onStep(.rename)
            let digest = try await publish(partial, written, at: place, last)
            try onStep(.syncFolders)
            try syncFolders(of: place)
            return digest
        } catch let problem as ArchiveProblem {
            partial.discard()
            throw problem
        }
    }

    /// Before anybody sees it: the run may have gone on or expired while it was written.
    private func check(_ partial: PartialFile, _ written: [UInt8], _ place: Place, _ last: Event) async throws {
        let report = try await ArchiveReport.make(partial.path)
        if report.record?.tombstone != nil || report.head.map({ $0.hash != last.hash }) ?? false { throw ArchiveProblem.later }
        guard report.digest == written else { throw ArchiveProblem.folder("'\(partial.path)' is not what was written there") }
        guard report.isSound else { throw ArchiveProblem.run(report.problems.joined(separator: " ")) }
    }

    /// Puts it in its place. If another process was quicker, its file counts; one that is damaged is set aside.
    private func publish(
        _ partial: PartialFile, _ written: [UInt8], at place: Place, _ last: Event
    ) async throws -> [UInt8] {
        if try partial.move(to: place.path) { return written }
        if let digest = try await digest(at: place, of: last) {
            partial.discard()
            return digest
        }
        try partial.replace(place.path) { try onStep(.replace) }
        return written
    }

    /// From the innermost outwards: each names the one in it.
    private func syncFolders(of place: Place) throws(ArchiveProblem) {
        for depth in stride(from: place.folders.count, through: 0, by: -1) {
            try Folders.sync(([path] + place.folders.prefix(depth)).joined(separator: "/"))
        }
    }

    /// Removes what processes have left that died while they wrote.
    func clear() { PartialFile.clear(below: path) }
}
