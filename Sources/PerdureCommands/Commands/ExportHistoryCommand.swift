internal import ArgumentParser
internal import Foundation
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// `export-history`: histories in a file that can be checked and replayed without the store.
struct ExportHistoryCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "export-history",
        abstract: "Writes histories into a file that can be checked and replayed without the store.",
        discussion: """
            Writes the runs that are named, or all that match, in the format of docs/history-format.md: a line of JSON for each event, \
            with everything that its hash covers. 'check --histories FILE' replays them against other code; \
            Scripts/verify_history.py checks their chains without Perdure. It works beside the process that hosts the store.

            The file holds what the runs were given and what came of it, personal data and all: keep it as you keep the store. It \
            is readable for you alone. --with-salt adds what a replay needs to draw the same random numbers; digests of small values \
            can be guessed with it, also of values that are removed later.

            Examples:
              export-history --with-salt --out histories.jsonl
              export-history --workflow rotate-secret --state waiting --out waiting.jsonl
              export-history 0193a5b0-0000-7000-8000-000000000001 --out - | gzip > run.jsonl.gz

            The exit status is 1 if a history does not hold together; it is written as far as it does, and the file says so. With \
            --json, and not --out -: an object with file, store, runs, events and broken (run, message).
            """)

    @OptionGroup var store: StoreOptions
    @Argument(help: "Runs, open or closed. Default: all that match.") var runs: [String] = []
    @Option(help: ArgumentHelp("The file to write; - is standard output.", valueName: "file")) var out: String
    @Option(help: "Only runs of this workflow.") var workflow: String?
    @Option(help: "Only runs on this version.") var version: String?
    @Option(
        help: ArgumentHelp("Only runs in this state; may be given several times: \(StateArgument.all).", valueName: "state"),
        transform: StateArgument.read)
    var state: [String] = []
    @Option(help: ArgumentHelp("Only runs with this label; may be given several times.", valueName: "name=value"))
    var label: [LabelArgument] = []
    @Flag(help: "Only runs that are not closed.") var open = false
    @Flag(help: "With the runs' salts: 'check --histories' needs them.") var withSalt = false
    @Flag(help: "Of values above 64 KiB write only digest and size. Such histories can be checked, but not replayed.")
    var withoutLargeValues = false
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        for run in runs where RunID(run) == nil { throw ValidationError("'\(run)' is not a run's id.") }
        let hasFilter = workflow != nil || version != nil || !state.isEmpty || !label.isEmpty || open
        if !runs.isEmpty, hasFilter { throw ValidationError("Give either runs, or say which by --workflow, --state and others.") }
        if open, !state.isEmpty { throw ValidationError("Give either --open or --state.") }
        if json, out == "-" { throw ValidationError("Standard output can hold the histories or the report, not both.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let result = try await store.withClient(environment) { client in
            let file = out == "-" ? nil : try ExportFile(out)
            do {
                let result = try await export(client) { line in
                    if let file { try file.write(line) } else { try environment.write(String(decoding: line, as: UTF8.self)) }
                }
                try file?.finish()
                return result
            } catch {
                file?.discard()
                throw error
            }
        }
        report(result, environment)
        if !result.exporter.broken.isEmpty { throw CommandStatus.failed }
    }

    private func export(
        _ client: Client, write: @escaping ([UInt8]) throws -> Void
    ) async throws -> (exporter: HistoryExporter, store: String) {
        // Before anything is written: an id that is not there leaves no file.
        let named = try await client.records(of: runs.compactMap(RunID.init))
        let options = HistoryExporter.Options(withSalt: withSalt, leavesOutLargeValues: withoutLargeValues)
        var exporter = try await HistoryExporter(client, options, write: write)
        for record in named { try await exporter.export(record) }
        if runs.isEmpty {
            let states = open ? RunState.allCases.filter { !$0.isFinal } : StateArgument.states(state)
            var filter = RunFilter(
                workflow: workflow, version: version, states: states, labels: LabelArgument.dictionary(label), limit: 200)
            while let page = try await client.page(filter), let last = page.last {
                for record in page where StateArgument.fits(record, state) { try await exporter.export(record) }
                filter.before = last.number
            }
        }
        try exporter.finish()
        return (exporter, client.store.identity)
    }

    private func report(_ result: (exporter: HistoryExporter, store: String), _ environment: CommandEnvironment) {
        let exporter = result.exporter
        for (run, message) in exporter.broken {
            environment.writeError("\(environment.style.red("broken:")) run \(run) is exported in part: \(message)\n")
        }
        guard out != "-" else { return }
        if json {
            let broken = exporter.broken.map {
                JSONValue.members(("run", .string($0.run.description)), ("message", .string($0.message)))
            }
            environment.print(
                json: .members(
                    ("file", .string(out)), ("store", .string(result.store)), ("runs", JSONValue(exporter.runs)),
                    ("events", JSONValue(exporter.events)), ("broken", .array(broken))))
        } else {
            environment.print("\(exporter.runs) runs with \(exporter.events) events are written to \(out).")
        }
    }
}

extension Client {
    fileprivate func records(of runs: [RunID]) async throws -> [RunRecord] {
        var records: [RunRecord] = []
        for run in runs where !records.contains(where: { $0.id == run }) { records.append(try await record(run)) }
        return records
    }

    fileprivate func page(_ filter: RunFilter) async throws -> [RunRecord]? {
        try await guarded { try await store.runs(filter) }
    }
}

/// A file that takes the place of another one only when it is complete. Throws `PerdureError` with `output_unwritable`.
private final class ExportFile {
    private let path: String
    private let partial: String
    private let handle: FileHandle
    private var buffer = Data()

    init(_ path: String) throws {
        self.path = path
        partial = "\(path).part"
        let files = FileManager.default
        try? files.removeItem(atPath: partial)
        // For the one user alone: what is in it may be personal, or secret.
        guard files.createFile(atPath: partial, contents: nil, attributes: [.posixPermissions: 0o600]),
            let handle = FileHandle(forWritingAtPath: partial)
        else { throw PerdureError(.outputUnwritable, "The file '\(path)' cannot be written.") }
        self.handle = handle
    }

    func write(_ line: [UInt8]) throws {
        buffer.append(contentsOf: line)
        if buffer.count >= 1 << 20 { try flush() }
    }

    func finish() throws {
        try flush()
        do {
            try handle.synchronize()
            try handle.close()
        } catch {
            throw PerdureError(.outputUnwritable, "The file '\(path)' cannot be written.", cause: error)
        }
        guard rename(partial, path) == 0 else { throw PerdureError(.outputUnwritable, "The file '\(path)' cannot be written.") }
    }

    func discard() {
        try? handle.close()
        try? FileManager.default.removeItem(atPath: partial)
    }

    private func flush() throws {
        do {
            try handle.write(contentsOf: buffer)
        } catch {
            throw PerdureError(.outputUnwritable, "The file '\(path)' cannot be written.", cause: error)
        }
        buffer.removeAll(keepingCapacity: true)
    }
}
