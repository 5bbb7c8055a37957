import Crypto
import Foundation
package import Perdure
package import PerdureHistory
package import PerdureStore

/// Reads a file of exported histories, one run at a time. Whatever is given out was checked to its last event.
package struct HistoryFile {
    /// Longer lines are refused: two values of the largest size that any engine should be given, every byte of them escaped, are shorter.
    package static let maximumLine = 256 << 20

    private let path: String
    private let handle: FileHandle
    private var lines = HistoryLines()
    private var buffer: [UInt8] = []
    private var position = 0
    private let maximumLine: Int
    private var hasher = SHA256()
    /// Whether the system could not read it, which says nothing of what is in it.
    package private(set) var isUnreadable = false

    /// - Throws: `PerdureError` with `history_file_invalid` if the file cannot be read.
    package init(_ path: String, maximumLine: Int = Self.maximumLine) throws(PerdureError) {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw PerdureError(.historyFileInvalid, "The file '\(path)' cannot be read.", metadata: [("file", path)])
        }
        self.path = path
        self.handle = handle
        self.maximumLine = maximumLine
    }

    /// The next run, or nil after the last.
    ///
    /// - Throws: `PerdureError` with `history_file_invalid` or `history_file_too_new`, with file and line. Nothing more can be read then.
    package mutating func next() throws(PerdureError) -> RecordedRun? {
        try told { file throws(HistoryLineError) in try file.nextRun() }
    }

    /// The next line, for runs that are too long to be held whole; nil behind the last. It was checked against those before it.
    ///
    /// - Throws: As `next` does.
    package mutating func nextLine() throws(PerdureError) -> HistoryLine? {
        try told { file throws(HistoryLineError) in
            guard let bytes = try file.nextBytes() else {
                try file.lines.finish()
                return nil
            }
            return try file.lines.take(bytes)
        }
    }

    /// The row of a run whose line was the last one.
    ///
    /// - Throws: As `next` does.
    package mutating func record(of run: ExportedRun) throws(PerdureError) -> RunRecord {
        try told { file throws(HistoryLineError) in
            try RecordedRun(run, events: [], broken: nil, line: file.lines.number).record
        }
    }

    /// SHA-256 of what was read: of the whole file, once it was read to its end.
    package var digest: [UInt8] { Array(hasher.finalize()) }

    private mutating func told<Result>(
        _ body: (inout HistoryFile) throws(HistoryLineError) -> Result
    ) throws(PerdureError) -> Result {
        do throws(HistoryLineError) {
            return try body(&self)
        } catch {
            let advice = error.isFromLater ? "Use the release that wrote it, or a later one." : "Export the histories again."
            throw PerdureError(
                error.isFromLater ? .historyFileTooNew : .historyFileInvalid,
                "Line \(error.line) of '\(path)' cannot be taken: \(error.reason). \(advice)",
                metadata: [("file", path), ("line", String(error.line))])
        }
    }

    private mutating func nextRun() throws(HistoryLineError) -> RecordedRun? {
        var run: ExportedRun?, beginning = 0, events: [Event] = []
        while let bytes = try nextBytes() {
            switch try lines.take(bytes) {
            case .file, .fileEnd: break
            case .run(let next): (run, beginning, events) = (next, lines.number, [])
            case .event(let event): events.append(event)
            case .runEnd(let end):
                guard let run else { break }
                return try RecordedRun(run, events: events, broken: end.broken, line: beginning)
            }
        }
        try lines.finish()
        return nil
    }

    /// The next line without its break; the last one need not have one.
    private mutating func nextBytes() throws(HistoryLineError) -> [UInt8]? {
        var searched = position
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { position = end + 1 }
                return Array(buffer[position..<end])
            }
            guard buffer.count - position <= maximumLine else {
                throw HistoryLineError(line: lines.number + 1, "it is longer than \(maximumLine) bytes")
            }
            buffer.removeFirst(position)
            position = 0
            searched = buffer.count
            let chunk: Data?
            do {
                chunk = try handle.read(upToCount: 1 << 18)
            } catch {
                isUnreadable = true
                throw HistoryLineError(line: lines.number + 1, "it cannot be read: \(error)")
            }
            guard let chunk, !chunk.isEmpty else {
                guard !buffer.isEmpty else { return nil }
                defer { buffer = [] }
                return buffer
            }
            hasher.update(data: chunk)
            buffer.append(contentsOf: chunk)
        }
    }
}
