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
        var isReady = false
        var started: [Int: RunID] = [:]
        /// Started, and nothing was sent to them yet.
        var fresh: [(number: Int, run: RunID)] = []
    }

    private let ledger: SwarmLedger
    private let state = Mutex(Heard())

    init(_ ledger: SwarmLedger) { self.ledger = ledger }

    var isReady: Bool { state.withLock { $0.isReady } }
    var started: [Int: RunID] { state.withLock { $0.started } }

    func forgetReady() { state.withLock { $0.isReady = false } }

    func takeFresh() -> [(number: Int, run: RunID)] {
        state.withLock { state in
            defer { state.fresh = [] }
            return state.fresh
        }
    }

    func hear(_ line: Data, from process: LineProcess) {
        let words = String(decoding: line, as: UTF8.self).split(separator: " ")
        switch words.first {
        case "r": state.withLock { $0.isReady = true }
        case "s" where words.count == 3:
            guard let number = Int(words[1]), let run = RunID(String(words[2])) else { return }
            state.withLock { state in
                if state.started.updateValue(run, forKey: number) == nil { state.fresh.append((number, run)) }
            }
        default:
            guard let request = SwarmLedger.Request(words) else { return }
            ledger.take(request) { answer, isMoment in
                // The effect is there, and its answer never comes.
                if isMoment { return process.kill() }
                if let answer { process.say("a \(request.number) \(answer)") }
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
    /// What is to be sent to runs, by the tick at which it is due.
    private var errands: [Int: [Errand]] = [:]
    private var tick = 0
    private(set) var kills = 0
    private(set) var signals: [RunID: Int] = [:]
    private(set) var cancellations = 0

    private enum Errand {
        case signal(RunID, String)
        case cancel(RunID)
    }

    init(_ settings: SwarmSettings, tell: @escaping (String) -> Void) {
        self.settings = settings
        self.tell = tell
        ledger = SwarmLedger(seed: settings.seed)
        ear = SwarmEar(ledger)
        random = SeededGenerator(seed: settings.seed)
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
        report.cancellations = cancellations
        report.signalsSent = signals.values.reduce(0, +)
        let counts = ledger.counts
        report.requests = counts.requests
        report.recognised = counts.recognised
        report.unanswered = counts.unanswered
        report.probes = counts.probes
        try await SwarmAudit(
            client, ledger.entries, runs: settings.runs,
            shape: { [settings] in ShapeMaker.shape(of: $0, seed: settings.seed) }, signals.mapValues { $0...$0 }
        ).look(&report)
        report.seconds = Self.seconds(ContinuousClock.now - begin)
        await client.close()
        return report
    }

    // MARK: One life

    /// Starts a worker and sees it dead. Returns whether every run is closed.
    private func live(since begin: ContinuousClock.Instant) async throws -> Bool {
        let process = try LineProcess(executable: settings.executable, arguments)
        ear.forgetReady()
        let reading = Task { [ear] in
            for await line in process.lines { ear.hear(line, from: process) }
        }
        let isOver = try await follow(process, since: begin)
        if !isOver { process.kill() }
        let status = await process.wait()
        await reading.value
        guard isOver ? status == 0 : status == -SIGKILL else {
            throw SwarmError("a worker ended by itself, with status \(status)")
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
            tick += 1
            let now = ContinuousClock.now, mayKill = now - begin < settings.duration
            guard ear.isReady else {
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
                throw SwarmError("\(open) runs did not close: \(try await client.counts())")
            }
            startMore(process, open: open, since: begin, &asked)
            planErrands()
            try await runErrands(client)
        }
    }

    private static let closed: Set = ["completed", "failed", "cancelled", "terminated", "quarantined"]

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

    // MARK: What is sent to runs

    private func planErrands() {
        for (number, run) in ear.takeFresh() {
            let count = ShapeMaker.shape(of: number, seed: settings.seed).signals
            for signal in 0..<count {
                errands[tick + Int.random(in: 0...40, using: &random), default: []].append(.signal(run, "nudge-\(signal)"))
            }
            if Int.random(in: 0..<100, using: &random) < 5 {
                errands[tick + Int.random(in: 0...20, using: &random), default: []].append(.cancel(run))
            }
        }
    }

    private func runErrands(_ client: Client) async throws {
        for due in errands.keys.filter({ $0 <= tick }).sorted() {
            for errand in errands.removeValue(forKey: due) ?? [] {
                do {
                    switch errand {
                    case .signal(let run, let id):
                        try await client.signal(run, SwarmRun.Nudge.self, 1, id: id, by: Principal(.human, "swarm"))
                        signals[run, default: 0] += 1
                    case .cancel(let run):
                        try await client.cancel(run, by: Principal(.human, "swarm"))
                        cancellations += 1
                    }
                } catch let error as PerdureError where error.code == .runClosed {
                    continue
                }
            }
        }
    }

    private func connected() async throws -> Client {
        if let client { return client }
        let client = try await Client(.sqlite(settings.store))
        self.client = client
        return client
    }

    private static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }
}

/// Why the swarm could not be seen to its end.
struct SwarmError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
