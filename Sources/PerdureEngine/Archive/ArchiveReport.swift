import Foundation
import Perdure
package import PerdureHistory
package import PerdureStore

/// What an archived file proves, found out from the file alone.
package struct ArchiveReport: Sendable {
    /// The run, as far as the file says which it is.
    package private(set) var record: RunRecord?
    package private(set) var events = 0
    /// The end of the history.
    package private(set) var head: ChainHead?
    /// SHA-256 of the file.
    package private(set) var digest: [UInt8] = []
    /// What is wrong, as sentences.
    package private(set) var problems: [String] = []
    /// Whether the system could not read it: then nothing is known of what is in it.
    package private(set) var isUnreadable = false

    package var isSound: Bool { problems.isEmpty }

    /// A longer history is checked by its chain only: the rules need memory for each step.
    private static let ruleLimit = 100_000

    /// Reads a file to its end. Only one event at a time is in memory.
    ///
    /// - Parameter place: The folders and the name that the file has to have; as many as are given, from the innermost.
    /// - Throws: `CancellationError` if the task is cancelled.
    package static func make(_ path: String, place: [String] = []) async throws -> ArchiveReport {
        var report = ArchiveReport()
        // Until it is open.
        report.isUnreadable = true
        do throws(PerdureError) {
            var file = try HistoryFile(path)
            try await report.read(&file)
            report.digest = file.digest
        } catch {
            if Task.isCancelled { throw CancellationError() }
            report.problems.append(error.message)
        }
        report.checkPlace(place)
        return report
    }

    private mutating func read(_ file: inout HistoryFile) async throws(PerdureError) {
        defer { isUnreadable = file.isUnreadable }
        var verifier: HistoryVerifier?
        while let line = try file.nextLine() {
            switch line {
            case .file, .fileEnd: break
            case .run(let run):
                guard verifier == nil else {
                    problems.append("It holds more than one run.")
                    return
                }
                let record = try file.record(of: run)
                self.record = record
                verifier = HistoryVerifier(record, ruleLimit: Self.ruleLimit)
                if run.salt == nil { problems.append("It was written without the run's salt: its digests cannot be checked.") }
            case .event(let event):
                verifier?.add([event])
                events += 1
                head = ChainHead(after: event)
            case .runEnd(let end): if let broken = end.broken { problems.append("It was broken when it was written: \(broken)") }
            }
            if events.isMultiple(of: 100) { await Task.yield() }
            if Task.isCancelled { throw PerdureError(.engineStopped, "This was stopped.") }
        }
        guard var verifier else { return problems.append("It holds no run.") }
        for problem in verifier.finish().problems {
            problems.append("\(problem.seq.map { "Event \($0): " } ?? "")\(problem.message) (\(problem.rule.rawValue))")
        }
        if record?.closedAt == nil { problems.append("It holds a run that is not closed.") }
        if record?.tombstone != nil { problems.append("It holds what is left of an expired run, and no history.") }
    }

    private mutating func checkPlace(_ place: [String]) {
        guard let record, let head, let closedAt = record.closedAt, !place.isEmpty else { return }
        let name = ArchiveName(
            namespace: record.namespace, workflow: record.workflow, run: record.id.description, closedAt: closedAt, head: head)
        let expected = name.folders + [name.file]
        guard !expected.suffix(place.count).elementsEqual(place.suffix(expected.count)) else { return }
        problems.append("It stands in the wrong place: it is \(expected.joined(separator: "/")).")
    }
}
