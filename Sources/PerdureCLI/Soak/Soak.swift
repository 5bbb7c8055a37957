import Foundation
import Logging
import Perdure
import PerdureBench
import PerdureEngine
import PerdurePostgres
import PerdureProcess
import PerdureStore

struct SoakSettings: Sendable {
    var duration: Duration
    var interval: Duration
    var nodes: Int
    /// Runs started in a second, by all nodes.
    var rate: Double
    /// Holds the server.
    var folder: URL
    let password = UUID().uuidString
}

/// Has nodes carry a steady load on a server for a time, and measures whether anything grows.
final class Soak {
    private let settings: SoakSettings
    private let tell: (SoakSample) -> Void
    private let server: PostgresServer
    private var nodes: [LineProcess] = []
    private var report = SoakReport()
    private var lastLog = 0.0
    private var lastSample = ContinuousClock.now

    /// How long the last runs may take once nothing is started any more.
    private static let patience = Duration.seconds(120)

    static func run(_ settings: SoakSettings, tell: @escaping (SoakSample) -> Void) async throws -> SoakReport {
        let soak = try Soak(settings, tell)
        let result: Result<SoakReport, any Error>
        do {
            result = .success(try await soak.run())
        } catch {
            result = .failure(error)
        }
        await soak.end()
        return try result.get()
    }

    private init(_ settings: SoakSettings, _ tell: @escaping (SoakSample) -> Void) throws {
        self.settings = settings
        self.tell = tell
        server = PostgresServer(
            try PostgresPrograms(), folder: settings.folder, port: try PostgresServer.freePort(), password: settings.password)
    }

    private var address: String { "postgres://\(PostgresServer.user)@127.0.0.1:\(server.port)/postgres" }

    private func run() async throws -> SoakReport {
        try await server.make()
        try await server.start()
        try await server.query(SoakBooking.table)
        // libpq finds it there, in this process and in the nodes.
        setenv("PGPASSWORD", settings.password, 1)
        // One makes the store.
        var logger = Logger(label: "soak") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        let maker = try await Engine(store: .postgres(address), logger: logger) { SoakLoop() }
        await maker.close()
        for number in 0..<settings.nodes { try startNode(number) }
        let begin = ContinuousClock.now
        lastSample = begin
        lastLog = try await logPosition()
        var next = begin
        while next < begin + settings.duration {
            next += settings.interval
            try await Task.sleep(until: next)
            let sample = try await sample(since: begin)
            report.samples.append(sample)
            tell(sample)
        }
        try await drain()
        report.seconds = SoakReport.rounded((ContinuousClock.now - begin) / .seconds(1))
        report.nodes = settings.nodes
        report.trends = SoakReport.trends(of: report.samples)
        return report
    }

    private func startNode(_ number: Int) throws {
        let node = try LineProcess(
            executable: LineProcess.ownExecutable,
            [
                "soak-worker", "--store", address, "--number", "\(number)", "--rate",
                "\(settings.rate / Double(settings.nodes))",
            ])
        nodes.append(node)
    }

    // MARK: Looking

    /// What all nodes have done since they were asked last.
    private func takePulses() async throws -> SoakPulse {
        var all = SoakPulse()
        let decoder = JSONDecoder()
        for node in nodes { node.say("tell") }
        for (number, node) in nodes.enumerated() {
            guard let line = await Self.line(of: node) else {
                // A stream has nothing to say to a task that is cancelled.
                try Task.checkCancellation()
                throw TrialError("node \(number) has ended by itself, with status \(await node.wait())")
            }
            let pulse = try decoder.decode(SoakPulse.self, from: line)
            all.started += pulse.started
            all.ended += pulse.ended
            all.open += pulse.open
            all.failures += pulse.failures
            all.latencies += pulse.latencies
        }
        report.runs += all.started
        report.failed += all.failures.count
        report.findings += all.failures.prefix(max(0, 20 - report.findings.count))
        return all
    }

    private static func line(of node: LineProcess) async -> Data? {
        for await line in node.lines { return line }
        return nil
    }

    private static let tables = """
        SELECT coalesce(sum(n_dead_tup), 0), coalesce(sum(n_live_tup), 0),
            (SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'perdure' ORDER BY n_dead_tup DESC LIMIT 1),
            coalesce(sum(pg_total_relation_size(relid)), 0)
        FROM pg_stat_user_tables WHERE schemaname = 'perdure'
        """
    private static let runs = """
        SELECT count(*), count(*) FILTER (WHERE closed_at IS NULL) FROM perdure.runs
        """

    private func logPosition() async throws -> Double {
        Double(try await server.query("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")) ?? 0
    }

    private func sample(since begin: ContinuousClock.Instant) async throws -> SoakSample {
        let pulse = try await takePulses(), now = ContinuousClock.now
        let seconds = (now - lastSample) / .seconds(1), log = try await logPosition()
        let tables = try await server.query(Self.tables).split(separator: "|", omittingEmptySubsequences: false)
        let runs = try await server.query(Self.runs).split(separator: "|")
        guard tables.count == 4, runs.count == 2 else { throw TrialError("the server does not tell what its tables hold") }
        var sample = SoakSample(minute: SoakReport.rounded((now - begin) / .seconds(60)))
        sample.runsPerSecond = SoakReport.rounded(Double(pulse.ended) / seconds)
        sample.latencyP50Ms = SoakReport.rounded(pulse.latencies.median)
        sample.latencyP99Ms = SoakReport.rounded(pulse.latencies.percentile(0.99))
        sample.deadTuples = Double(tables[0]) ?? 0
        sample.liveTuples = Double(tables[1]) ?? 0
        sample.deadestTable = String(tables[2])
        sample.storeMb = SoakReport.rounded((Double(tables[3]) ?? 0) / 1e6)
        sample.runs = Int(runs[0]) ?? 0
        sample.openRuns = Int(runs[1]) ?? 0
        sample.walMbPerMinute = SoakReport.rounded((log - lastLog) / 1e6 / seconds * 60)
        sample.nodesMemoryMb = SoakReport.rounded(nodes.map { Self.resident($0.processID) }.reduce(0, +) / 1e6)
        sample.serverMemoryMb = SoakReport.rounded(server.processes.map { Self.proportional($0) }.reduce(0, +) / 1e6)
        (lastLog, lastSample) = (log, now)
        return sample
    }

    /// The memory of a process, in bytes.
    private static func resident(_ process: Int32) -> Double {
        let text = (try? String(contentsOfFile: "/proc/\(process)/statm", encoding: .utf8)) ?? ""
        return (text.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0) * Double(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// The same, with what several share counted in parts.
    private static func proportional(_ process: Int32) -> Double {
        let text = (try? String(contentsOfFile: "/proc/\(process)/smaps_rollup", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("Pss:") }
        return (line?.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0) * 1_024
    }

    // MARK: Ending

    /// Starts nothing any more, waits for what is open, and looks whether everything holds together.
    private func drain() async throws {
        for node in nodes { node.say("quiet") }
        let end = ContinuousClock.now + Self.patience
        while try await takePulses().open > 0 {
            guard ContinuousClock.now < end else {
                report.findings.append("runs are still open \(Self.patience) after the last one was started")
                break
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        let client = try await Client(.postgres(address))
        do {
            report.findings += try await client.guarded { try await client.store.audit() }
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }

    private func end() async {
        for node in nodes { node.stop() }
        for (index, node) in nodes.enumerated() {
            let status = await node.wait(orKillAfter: Self.patience)
            if status != 0 { report.findings.append("node \(index) ended with status \(status)") }
        }
        server.remove()
    }
}
