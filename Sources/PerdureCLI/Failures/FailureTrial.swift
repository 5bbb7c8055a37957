import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureProcess
import PerdureStore
import Synchronization

struct FailureSettings: Sendable {
    var runs: Int
    var faults: Int
    var nodes: Int
    var seed: UInt64
    /// Holds the servers.
    var folder: URL
    var kinds = ClusterFault.usual
    var without: SwarmDefence?
    /// Whether the nodes' standard error is seen.
    var isHeard = false
    var executable = LineProcess.ownExecutable
    let tools = MachineTools()
    let password = UUID().uuidString
}

/// Lets runs pass over nodes that share a database, has one fault follow the other, and counts.
final class FailureTrial {
    /// How many runs may be open at once.
    static let window = 400
    /// Longer than a lease: see `StoreConfiguration.swarm`.
    private static let outage = Duration.seconds(9)
    /// How long the database may be away, or everything take once the last fault is over.
    private static let patience = Duration.seconds(600)

    let settings: FailureSettings
    private let tell: (String) -> Void
    let ledger: SwarmLedger
    let ear: SwarmEar
    private let moments: Moments
    let database: FailureDatabase
    let nodes: [FailureNode]
    private var random: SeededGenerator
    var errands: SwarmErrands
    var client: Client?
    var report = FailureReport()
    private var recoveries: [Recovery] = []
    /// Kinds that have not been yet: each comes once before chance decides.
    private var outstanding: [ClusterFault]
    private var nextFault: ContinuousClock.Instant?
    private var lastSight = ContinuousClock.now
    private var lastFault = ContinuousClock.now
    var lastClosed = 0
    var lastResolved = ContinuousClock.now

    /// What has befallen nodes between an effect and its answer.
    private final class Moments: Sendable {
        private struct State {
            var killed = 0
            var trapped: Set<Int32> = []
        }

        private let state = Mutex(State())
        /// The processes whose code was told to trap. One that did not care for the answer any more does not.
        var trapped: Set<Int32> { state.withLock { $0.trapped } }

        func note(_ process: Int32, _ moment: SwarmLedger.Moment) {
            state.withLock { state in
                switch moment {
                case .kill: state.killed += 1
                case .trap: state.trapped.insert(process)
                }
            }
        }

        /// How many were killed since it was asked last.
        func takeKilled() -> Int {
            state.withLock { state in
                defer { state.killed = 0 }
                return state.killed
            }
        }
    }

    /// A fault whose consequences are not over.
    private struct Recovery {
        let fault: ClusterFault
        let begin = ContinuousClock.now
        /// The runs of the node that was struck.
        var owned: [Int64: NodeID] = [:]
        /// How many runs had closed.
        var closed = 0
    }

    /// How the runs are at a moment.
    struct Sight {
        let open: Int
        let closed: Int
        let owners: [Int64: NodeID]
    }

    static func run(_ settings: FailureSettings, tell: @escaping (String) -> Void) async throws -> FailureReport {
        let database = try await FailureDatabase(settings)
        defer { database.remove() }
        let trial = try FailureTrial(settings, database, tell)
        let result: Result<FailureReport, any Error>
        do {
            result = .success(try await trial.run())
        } catch {
            result = .failure(error)
        }
        for node in trial.nodes { await node.end() }
        await trial.client?.close()
        return try result.get()
    }

    private init(_ settings: FailureSettings, _ database: FailureDatabase, _ tell: @escaping (String) -> Void) throws {
        let ledger = SwarmLedger(seed: settings.seed, hasTraps: true), moments = Moments()
        self.settings = settings
        self.database = database
        self.tell = tell
        self.ledger = ledger
        self.moments = moments
        ear = SwarmEar(ledger) { moments.note($0.processID, $1) }
        // Several trials may go on side by side.
        let firstNetwork = Int.random(in: 0..<(32_768 - settings.nodes)), hasNetworks = settings.kinds.contains(.cable)
        let clock = settings.kinds.contains(.clock) ? try WrongClock(in: settings.folder) : nil
        nodes = try (0..<settings.nodes).map { number in
            try FailureNode(
                number, servers: database.ports, hasNetworks ? try NodeNetwork(firstNetwork + number) : nil, clock)
        }
        var random = SeededGenerator(seed: settings.seed)
        outstanding = settings.kinds.shuffled(using: &random)
        self.random = random
        errands = SwarmErrands(seed: settings.seed)
    }

    private func run() async throws -> FailureReport {
        let begin = ContinuousClock.now
        for node in nodes { try node.start(settings, ear) }
        while try await !step() { try await Task.sleep(for: .milliseconds(50)) }
        guard let client else { throw TrialError("no node has ever come up") }
        var counted = SwarmReport()
        try await SwarmAudit(
            client, ledger.entries, runs: settings.runs,
            shape: { [settings] in ShapeMaker.shape(of: $0, seed: settings.seed) },
            errands.signals.mapValues { (report.restorations > 0 ? 0 : $0)...$0 }, hasLosses: report.restorations > 0
        ).look(&counted)
        report.take(counted)
        report.seed = settings.seed
        report.without = settings.without?.rawValue
        report.nodes = settings.nodes
        report.seconds = Swarm.seconds(ContinuousClock.now - begin)
        return report
    }

    /// One look at everything. Returns whether all faults have been and every run is closed.
    private func step() async throws -> Bool {
        let now = ContinuousClock.now
        try await restartNodes(closed: lastClosed)
        for node in nodes { try node.heal(now) }
        guard let sight = try await look() else {
            guard now - lastSight < Self.patience else { throw TrialError("the database has not come back") }
            return false
        }
        lastSight = now
        lastClosed = sight.closed
        noteMoments(sight)
        recoveries.removeAll { hasRecovered($0, sight) }
        let isOver = report.faults >= settings.faults
        if isOver, recoveries.isEmpty, sight.open == 0, errands.isEmpty, ear.started.count == settings.runs { return true }
        if isOver, now - lastFault > Self.patience { throw TrialError("\(sight.open) runs did not close") }
        startMore(sight)
        try await runErrands()
        if report.restorations > 0 { try await resolveDoubts() }
        if !isOver { try await strike(sight, now) }
        return false
    }

    // MARK: Nodes

    func restartNodes(closed: Int) async throws {
        for node in nodes {
            guard let end = await node.ended(ear, trapped: moments.trapped) else { continue }
            guard end.isExpected else {
                throw TrialError("node \(node.number) ended by itself, with status \(end.status)")
            }
            if end.isTrap {
                report.note(.trap)
                recoveries.append(Recovery(fault: .trap, closed: closed))
            } else if end.status != -SIGKILL, end.status != 0 {
                report.lapsed += 1
            }
            try node.start(settings, ear)
        }
    }

    private func noteMoments(_ sight: Sight) {
        for _ in 0..<moments.takeKilled() {
            report.note(.moment)
            recoveries.append(Recovery(fault: .moment, closed: sight.closed))
        }
    }

    /// Keeps as many runs open as fit, and starts the last ones with the last faults.
    private func startMore(_ sight: Sight) {
        let share = Double(report.faults + 1) / Double(settings.faults)
        let allowed = min(settings.runs, Int(Double(settings.runs) * share) + Self.window)
        let started = ear.started, up = nodes.filter { $0.isUp(ear) }
        var room = Self.window - sight.open
        for node in up {
            // A node that died may have started runs without having said so: their keys find them again.
            var next = node.asked, count = room / max(1, up.count)
            while next < allowed, count > 0 {
                if next % settings.nodes == node.number, started[next] == nil {
                    node.process?.say("g \(next) \(next + 1)")
                    count -= 1
                    room -= 1
                }
                next += 1
            }
            node.asked = next
        }
    }

    // MARK: Looking

    /// Nil while the database does not answer.
    func look() async throws -> Sight? {
        guard nodes.contains(where: { $0.process.map(ear.isReady) ?? false }) || client != nil else { return nil }
        return try await unlessAway {
            let client = try await connected()
            let counts = try await client.counts()
            let running = RunFilter(states: [.running], limit: 2 * Self.window)
            var owners: [Int64: NodeID] = [:]
            for record in try await client.guarded({ try await client.store.runs(running) }) {
                owners[record.number] = record.owner
            }
            let closed = counts.filter { Swarm.closed.contains($0.key) }.values.reduce(0, +)
            return Sight(open: counts.values.reduce(0, +) - closed, closed: closed, owners: owners)
        }
    }

    func unlessAway<Result>(_ body: () async throws -> Result) async throws -> Result? {
        do {
            return try await body()
        } catch let error as PerdureError where error.code == .storeUnavailable {
            return nil
        }
    }

    func connected() async throws -> Client {
        if let client { return client }
        // libpq finds it there.
        setenv("PGPASSWORD", settings.password, 1)
        let client = try await Client(.swarm(database.address))
        self.client = client
        return client
    }

    private func runErrands() async throws {
        errands.plan(for: ear.takeFresh())
        guard let client else { return }
        _ = try await unlessAway { try await errands.run(on: client) }
    }

    private func hasRecovered(_ recovery: Recovery, _ sight: Sight) -> Bool {
        let isOver =
            recovery.owned.isEmpty
            ? sight.closed > recovery.closed || sight.open == 0
            : recovery.owned.allSatisfy { sight.owners[$0.key] != $0.value }
        if isOver { report.noteRecovery(from: recovery.fault, in: .now - recovery.begin) }
        return isOver
    }

    // MARK: Faults

    private func strike(_ sight: Sight, _ now: ContinuousClock.Instant) async throws {
        guard let due = nextFault else {
            // Not before there is something to lose.
            if sight.open > 0, nodes.allSatisfy({ $0.isUp(ear) }) { nextFault = now }
            return
        }
        guard now >= due, let fault = outstanding.last ?? ClusterFault.random(of: settings.kinds, using: &random) else { return }
        nextFault = now + .milliseconds(Int.random(in: 500...4_500, using: &random))
        if fault.isOfServer {
            guard !recoveries.contains(where: \.fault.isOfServer) else { return }
            for node in nodes { node.mayEnd(within: .seconds(90)) }
            note(Recovery(fault: fault, closed: sight.closed))
            try await database.strike(fault)
            if fault.losesCommits { try await recoverHistory(isBusy: sight.open > 50) }
        } else {
            let up = nodes.filter { $0.isUp(ear) }
            // Somebody has to be there to take over.
            guard up.count > settings.nodes / 2, let node = up.randomElement(using: &random), let process = node.process,
                let id = try await unlessAway({ try await nodeID(of: process.processID) }) ?? nil
            else { return }
            let losesRuns = fault != .cut
            note(
                Recovery(fault: fault, owned: losesRuns ? sight.owners.filter { $0.value == id } : [:], closed: sight.closed))
            if fault == .cut { node.mayEnd(within: .seconds(60)) }
            try node.strike(fault, for: Self.outage)
        }
    }

    private func note(_ recovery: Recovery) {
        recoveries.append(recovery)
        report.note(recovery.fault)
        if outstanding.last == recovery.fault { outstanding.removeLast() }
        lastFault = .now
        if report.faults.isMultiple(of: 10) { tell("\(report.faults) faults, \(ear.started.count) runs started") }
    }

    private func nodeID(of process: Int32) async throws -> NodeID? {
        guard let client else { return nil }
        return try await client.guarded { try await client.store.livingNodes() }.first { $0.processID == process }?.id
    }
}
