import Foundation
import Perdure
import PerdureHistory
import PerdureStore

// Putting a history there, so that whatever is in its place is whole, whenever a process dies, and whoever else writes it.
extension HistoryArchive {
    /// Writes the history of a closed run, unless it is there, and reads it back. It is on the disk then, and was found to hold together.
    ///
    /// - Throws: `ArchiveProblem`, `CancellationError`, or `PerdureError` if the store fails.
    func keep(_ run: UnarchivedRun, of store: any Store) async throws -> ArchivedHistory {
        try onStep(.open)
        try Folders.check(path)
        let client = Client(store: store) { try await Client.commit($0, to: store) }
        guard let record = try await client.guarded({ try await store.run(number: run.number) }), let closedAt = record.closedAt,
            record.tombstone == nil
        else { throw ArchiveProblem.later }
        let name = ArchiveName(
            namespace: record.namespace, workflow: record.workflow, run: record.id.description, closedAt: closedAt, seq: run.seq)
        let place = name.folders + [name.file], target = ([path] + place).joined(separator: "/")
        let events = try await client.guarded { try await store.events(of: run.number, before: .max, limit: 1) }
        guard let last = events.first, last.seq == run.seq else { throw ArchiveProblem.later }
        if FileManager.default.fileExists(atPath: target) {
            // Whoever put it there may have died before it was noted, or before the folders were on the disk.
            let report = try await ArchiveReport.make(target, place: place)
            if report.isSound, report.head?.hash == last.hash {
                try syncFolders(of: name)
                return ArchivedHistory(run: run.number, lastHash: last.hash, digest: report.digest)
            }
        }
        let written = try await write(record, client, to: target, name, last)
        try onStep(.check)
        let report = try await ArchiveReport.make(target, place: place)
        guard report.digest == written, report.head?.hash == last.hash else {
            throw ArchiveProblem.folder("'\(target)' is not what was written there")
        }
        guard report.isSound else {
            unlink(target)
            throw ArchiveProblem.run(report.problems.joined(separator: " "))
        }
        return ArchivedHistory(run: run.number, lastHash: last.hash, digest: written)
    }

    /// - Returns: the SHA-256 of what was written.
    private func write(
        _ record: RunRecord, _ client: Client, to target: String, _ name: ArchiveName, _ last: Event
    ) async throws -> [UInt8] {
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
            let digest = try partial.sync()
            var folder = path
            for part in name.folders {
                folder += "/\(part)"
                try Folders.make(folder)
            }
            try onStep(.rename)
            try partial.move(to: target)
            try onStep(.syncFolders)
            try syncFolders(of: name)
            return digest
        } catch let problem as ArchiveProblem {
            partial.discard()
            throw problem
        }
    }

    /// From the innermost outwards: each names the one in it.
    private func syncFolders(of name: ArchiveName) throws(ArchiveProblem) {
        for depth in stride(from: name.folders.count, through: 0, by: -1) {
            try Folders.sync(([path] + name.folders.prefix(depth)).joined(separator: "/"))
        }
    }

    /// Removes what processes have left that died while they wrote.
    func clear() { PartialFile.clear(below: path) }
}
