internal import ArgumentParser
internal import Foundation
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// `archive`: histories that have left their store.
struct ArchiveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "archive", abstract: "Checks archived histories.", subcommands: [ArchiveVerifyCommand.self])
}

/// `archive verify`.
struct ArchiveVerifyCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Checks archived histories with nothing else at hand: no store, no code.",
        discussion: """
            Of each file the hash chain over every event, what the engine promises of a history, its end, and whether the file stands
            where its run says. The exit status is 1 if anything is wrong.

            Examples:
              archive verify /mnt/archive/perdure
              archive verify 0193a5b0-0000-7000-8000-000000000001.42.9f3c1a77b0de.jsonl --json

            With --json: an object with sound and files, an array of objects with file, sound, problems, sha256, run, namespace, workflow,
            version, state, events, last_seq and last_hash. sha256 and last_hash are what archive and last_hash say in the event
            run.expired that is left in the store.
            """)

    @Argument(help: ArgumentHelp("Folders or files.", valueName: "path")) var paths: [String]
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard !paths.isEmpty else { throw ValidationError("Give a folder or a file.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let files = try paths.flatMap { try ArchivedFile.found(at: $0) }
        guard !files.isEmpty else {
            throw PerdureError(
                .historyFileInvalid, "There is no archived history in \(paths.map { "'\($0)'" }.joined(separator: ", ")).")
        }
        var wrong = 0, events = 0, objects: [JSONValue] = []
        for file in files {
            let report = try await ArchiveReport.make(file.path, place: file.place)
            events += report.events
            if !report.isSound { wrong += 1 }
            if json {
                objects.append(Self.json(file, report))
            } else if !report.isSound || files.count == 1 {
                environment.print(Self.text(file, report, environment.style))
            }
        }
        if json {
            environment.print(json: .members(("sound", .bool(wrong == 0)), ("files", .array(objects))))
        } else {
            let verdict = wrong == 0 ? environment.style.green("all sound") : environment.style.red("\(wrong) wrong")
            environment.print("\(files.count) archived histories with \(events) events verified, \(verdict).")
        }
        guard wrong == 0 else { throw CommandStatus.failed }
    }

    private static func json(_ file: ArchivedFile, _ report: ArchiveReport) -> JSONValue {
        var object = JSONObject([
            ("file", .string(file.path)), ("sound", .bool(report.isSound)),
            ("problems", .array(report.problems.map(JSONValue.string))), ("events", JSONValue(report.events)),
        ])
        if !report.digest.isEmpty { object["sha256"] = .string(Hex.encode(report.digest)) }
        if let record = report.record {
            object["run"] = .string(record.id.description)
            object["namespace"] = .string(record.namespace)
            object["workflow"] = .string(record.workflow)
            object["version"] = .string(record.version)
            object["state"] = .string(record.state.rawValue)
        }
        if let head = report.head {
            object["last_seq"] = .integer(head.seq)
            object["last_hash"] = .string(head.hash.description)
        }
        return .object(object)
    }

    private static func text(_ file: ArchivedFile, _ report: ArchiveReport, _ style: Style) -> String {
        var lines = ["\(report.isSound ? style.green("sound") : style.red("WRONG")): \(file.path)"]
        if let record = report.record, let head = report.head {
            lines.append("  run \(record.id), \(record.workflow) \(record.version), \(record.state.rawValue), \(head.seq) events")
        }
        if report.isSound { lines.append("  SHA-256 \(Hex.encode(report.digest))") }
        lines += report.problems.map { "  \($0)" }
        return lines.joined(separator: "\n")
    }
}

/// A file that should hold an archived history.
private struct ArchivedFile {
    let path: String
    /// What it has to be called, from the innermost, with the folders as far as they were looked through.
    let place: [String]

    /// - Throws: `PerdureError` with `history_file_invalid` if there is nothing.
    static func found(at path: String) throws -> [ArchivedFile] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw PerdureError(.historyFileInvalid, "There is no file and no folder '\(path)'.", metadata: [("file", path)])
        }
        guard isFolder.boolValue else {
            return [ArchivedFile(path: path, place: [(path as NSString).lastPathComponent])]
        }
        guard let all = FileManager.default.enumerator(atPath: path) else {
            throw PerdureError(.historyFileInvalid, "The folder '\(path)' cannot be read.", metadata: [("file", path)])
        }
        // What begins with a dot is not in the archive yet.
        let names = all.compactMap { $0 as? String }.filter { $0.hasSuffix(ArchiveName.suffix) && !$0.hasPrefix(".") }
        return names.sorted().map { name in
            ArchivedFile(path: "\(path)/\(name)", place: name.split(separator: "/").map(String.init))
        }
    }
}
