import Foundation
import Perdure
import PerdureEngine
import PerdureProcess
import PerdureSQLite
import Synchronization

struct SwarmSettings: Sendable {
    var runs: Int
    var seed: UInt64
    var duration: Duration
    var without: SwarmDefence?
    var store: String
    var executable = LineProcess.ownExecutable
}

/// What the lines of the workers have told.
final class SwarmEar: Sendable {
    private struct Heard {
        /// The processes that have said so.
        var ready: Set<Int32> = []
        var started: [Int: RunID] = [:]
        /// Started, and nothing was sent to them yet.
        var fresh: [(number: Int, run: RunID)] = []
    }

    private let ledger: SwarmLedger
    private let struck: @Sendable (LineProcess, SwarmLedger.Moment) -> Void
    private let state = Mutex(Heard())

    /// - Parameter struck: Told of a worker that dies between an effect and its answer, before it does.
    init(_ ledger: SwarmLedger, struck: @escaping @Sendable (LineProcess, SwarmLedger.Moment) -> Void = { _, _ in }) {
        self.ledger = ledger
        self.struck = struck
    }

    var started: [Int: RunID] { state.withLock { $0.started } }

    func isReady(_ process: LineProcess) -> Bool { state.withLock { $0.ready.contains(process.processID) } }
    func forget(_ process: LineProcess) { _ = state.withLock { $0.ready.remove(process.processID) } }

    /// Runs that were started and are not there any more are started again.
    func forget(_ numbers: some Sequence<Int>) {
        state.withLock { state in
            for number in numbers {
                state.started[number] = nil
                state.fresh.removeAll { $0.number == number }
            }
        }
    }

    func takeFresh() -> [(number: Int, run: RunID)] {
        state.withLock { state in
            defer { state.fresh = [] }
            return state.fresh
        }
    }

    func hear(_ line: Data, from process: LineProcess) {
        let words = String(decoding: line, as: UTF8.self).split(separator: " ")
        switch words.first {
        case "r": _ = state.withLock { $0.ready.insert(process.processID) }
        case "s" where words.count == 3:
            guard let number = Int(words[1]), let run = RunID(String(words[2])) else { return }
            state.withLock { state in
                if state.started.updateValue(run, forKey: number) == nil { state.fresh.append((number, run)) }
            }
        default:
            guard let request = SwarmLedger.Request(words) else { return }
            ledger.take(request) { [struck] answer, moment in
                // The effect is there, and its answer never comes.
                switch moment {
                case .kill?:
                    struck(process, .kill)
                    process.kill()
                // The undo of a child may be cancelled at this moment, and probes say something else.
                case .trap? where request.kind == .effect:
                    struck(process, .trap)
                    process.say("a \(request.number) trap")
                default: if let answer { process.say("a \(request.number) \(answer)") }
                }
            }
        }
    }
}

/// Lets many runs of random shapes pass over a worker that is killed again and again.
final class Swarm {
    /// How many runs may be open at once.
    private static let window = 300
    /// How long the last life may take when the kills are over.
    private static let patience = Duration.seconds(900)

    private let settings: SwarmSettings
    private let ledger: SwarmLedger
    private let ear: SwarmEar
    private let tell: (String) -> Void
    private var random: SeededGenerator
    private var client: Client?
    private var errands: SwarmErrands
    private(set) var kills = 0

    init(_ settings: SwarmSettings, tell: @escaping (String) -> Void) {
        self.settings = settings
        self.tell = tell
        ledger = SwarmLedger(seed: settings.seed)
        ear = SwarmEar(ledger)
        random = SeededGenerator(seed: settings.seed)
        errands = SwarmErrands(seed: settings.seed)
    }

    func run() async throws -> SwarmReport {
        let begin = ContinuousClock.now
        var isOver = false
        while !isOver { isOver = try await live(since: begin) }
        let client = try await connected()
        var report = SwarmReport()
        report.seed = settings.seed
        report.without = settings.without?.rawValue
        report.wanted = settings.runs
        report.kills = kills
        report.cancellations = errands.cancellations
        report.signalsSent = errands.signals.values.reduce(0, +)
        let counts = ledger.counts
        report.requests = counts.requests
        report.recognised = counts.recognised
        report.unanswered = counts.unanswered
        report.probes = counts.probes
        try await SwarmAudit(
            client, ledger.entries, runs: settings.runs,
            shape: { [settings] in ShapeMaker.shape(of: $0, seed: settings.seed) }, errands.signals.mapValues { $0...$0 }
        ).look(&report)
        report.seconds = Self.seconds(ContinuousClock.now - begin)
        await client.close()
        return report
    }

    // MARK: One life

    /// Starts a worker and sees it dead. Returns whether every run is closed.
    private func live(since begin: ContinuousClock.Instant) async throws -> Bool {
        let process = try LineProcess(executable: settings.executable, arguments)
        let reading = Task { [ear] in
            for await line in process.lines { ear.hear(line, from: process) }
        }
        let isOver = try await follow(process, since: begin)
        if !isOver { process.kill() }
        let status = await process.wait()
        await reading.value
        ear.forget(process)
        guard isOver ? status == 0 : status == -SIGKILL else {
            throw TrialError("a worker ended by itself, with status \(status)")
        }
        if !isOver {
            kills += 1
            if kills.isMultiple(of: 10) { tell("\(kills) kills, \(ear.started.count) runs started") }
        }
        return isOver
    }

    private var arguments: [String] {
        ["swarm-worker", "--store", settings.store, "--seed", "\(settings.seed)"]
            + (settings.without.map { ["--without", $0.rawValue] } ?? [])
    }

    /// Gives the worker work until it is to be killed, was killed, or everything is done.
    private func follow(_ process: LineProcess, since begin: ContinuousClock.Instant) async throws -> Bool {
        let length =
            Int.random(in: 0..<100, using: &random) < 15
            ? Int.random(in: 50...400, using: &random) : Int.random(in: 600...6_000, using: &random)
        var end: ContinuousClock.Instant?, asked = 0
        while true {
            try await Task.sleep(for: .milliseconds(50))
            let now = ContinuousClock.now, mayKill = now - begin < settings.duration
            guard ear.isReady(process) else {
                if process.hasEnded { return false }
                continue
            }
            if end == nil { end = now + .milliseconds(length) }
            if process.hasEnded || mayKill && now >= end ?? now { return false }
            let client = try await connected()
            let open = try await client.counts().filter { !Self.closed.contains($0.key) }.values.reduce(0, +)
            let started = ear.started.count
            if started == settings.runs, open == 0, errands.isEmpty {
                process.stop()
                return true
            }
            if !mayKill, now - begin > settings.duration + Self.patience {
                throw TrialError("\(open) runs did not close: \(try await client.counts())")
            }
            startMore(process, open: open, since: begin, &asked)
            errands.plan(for: ear.takeFresh())
            try await errands.run(on: client)
        }
    }

    /// The states in which nothing more becomes of a run.
    static let closed: Set = ["completed", "failed", "cancelled", "terminated", "quarantined"]

    /// Starts as many runs as the time that has passed allows, so that all of it is filled.
    private func startMore(_ process: LineProcess, open: Int, since begin: ContinuousClock.Instant, _ asked: inout Int) {
        let share = Self.seconds(ContinuousClock.now - begin) / max(0.1, Self.seconds(settings.duration) * 0.85)
        let allowed = min(settings.runs, Int(Double(settings.runs) * share) + 20)
        let started = ear.started
        // A worker that died may have started runs without having said so: their keys find them again.
        var next = asked, room = Self.window - open
        while next < allowed, room > 0 {
            if started[next] == nil {
                process.say("g \(next) \(next + 1)")
                room -= 1
            }
            next += 1
        }
        asked = next
    }

    private func connected() async throws -> Client {
        if let client { return client }
        let client = try await Client(.sqlite(settings.store))
        self.client = client
        return client
    }

    static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }
}
