import Foundation
import PerdureProcess

/// One of the nodes of the trial: a process that is started again whenever it has ended, and what stands between it and the servers.
final class FailureNode {
    let number: Int
    /// One for each server.
    let proxies: [Proxy]
    private let network: NodeNetwork?
    private let clock: WrongClock?
    private(set) var process: LineProcess?
    private var reading: Task<Void, Never>?
    /// Releases take turns with each planned end.
    private(set) var build = 0
    /// What it will be freed of, and when.
    private(set) var trouble: (fault: ClusterFault, end: ContinuousClock.Instant)?
    /// Until when it may give up: it was cut off or stood still, and others may have its runs.
    private var mayEndUntil: ContinuousClock.Instant?
    private(set) var isLeaving = false
    /// Which runs it was asked to start.
    var asked = 0
    /// By how many seconds the machine's clock will be wrong when it comes back.
    private var clockError = 0

    init(_ number: Int, servers: [Int], _ network: NodeNetwork?, _ clock: WrongClock?) throws {
        self.number = number
        self.network = network
        self.clock = clock
        proxies = try servers.map { try Proxy(to: $0, host: network?.address ?? Proxy.loopback) }
    }

    func start(_ settings: FailureSettings, _ ear: SwarmEar) throws {
        let hosts = proxies.map { "\(network?.address ?? Proxy.loopback):\($0.port)" }.joined(separator: ",")
        let command =
            (network?.command ?? []) + [
                settings.executable, "swarm-worker", "--store",
                "postgres://\(PostgresServer.user)@\(hosts)/postgres?connect_timeout=3", "--seed",
                "\(settings.seed)", "--build", "release-\(build % 2)",
            ] + (settings.without.map { ["--without", $0.rawValue] } ?? [])
        let process = try LineProcess(
            executable: command[0], Array(command.dropFirst()), variables: variables(settings), isHeard: settings.isHeard)
        clockError = 0
        self.process = process
        reading = Task { for await line in process.lines { ear.hear(line, from: process) } }
        asked = 0
        isLeaving = false
    }

    private func variables(_ settings: FailureSettings) -> [String: String] {
        // What traps on purpose is not to be looked at for seconds.
        var variables = ["PGPASSWORD": settings.password, "SWIFT_BACKTRACE": "enable=no"]
        if clockError != 0, let clock { variables.merge(clock.variables(clockError)) { $1 } }
        return variables
    }

    /// If the process has ended: how, and whether it may have.
    ///
    /// - Parameter trapped: The processes whose code was made to trap.
    func ended(_ ear: SwarmEar, trapped: Set<Int32>) async -> (status: Int32, isTrap: Bool, isExpected: Bool)? {
        guard let process, process.hasEnded else { return nil }
        let status = await process.wait()
        await reading?.value
        ear.forget(process)
        self.process = nil
        if trouble?.fault == .freeze { trouble = nil }
        // With an error of its own: one that traps is a find at any time.
        let hasLapsed = status == EXIT_FAILURE && mayEndUntil.map { ContinuousClock.now < $0 } ?? false
        let isTrap = [-SIGILL, -SIGTRAP].contains(status) && trapped.contains(process.processID)
        return (status, isTrap, status == -SIGKILL || status == 0 && isLeaving || hasLapsed || isTrap)
    }

    /// Whether it is at work and nothing is being done to it.
    func isUp(_ ear: SwarmEar) -> Bool {
        guard let process, !process.hasEnded, !isLeaving, trouble == nil else { return false }
        return ear.isReady(process)
    }

    /// For so long after a trouble, or one of the server, it may find that others have its runs.
    func mayEnd(within time: Duration) { mayEndUntil = .now + time }

    func strike(_ fault: ClusterFault, for length: Duration) throws {
        guard let process else { return }
        switch fault {
        case .kill: process.kill()
        case .clock:
            clockError = number.isMultiple(of: 2) ? 3_600 : -3_600
            process.kill()
        case .upgrade:
            build += 1
            isLeaving = true
            process.stop()
        case .freeze:
            trouble = (fault, .now + length)
            Foundation.kill(process.processID, SIGSTOP)
        case .cut: for proxy in proxies { proxy.cut() }
        case .partition:
            trouble = (fault, .now + length)
            // Either nothing comes through, or the node's words do and it never hears an answer.
            for proxy in proxies { proxy.mode = number.isMultiple(of: 2) ? .silent : .swallowing }
        case .cable:
            trouble = (fault, .now + length)
            try network?.plug(false)
        case .moment, .trap, .restart, .crash, .promotion, .disk, .lateReplica, .restore: break
        }
    }

    /// Ends a trouble whose time is over.
    func heal(_ now: ContinuousClock.Instant) throws {
        guard let trouble, now >= trouble.end else { return }
        switch trouble.fault {
        case .freeze: if let process { Foundation.kill(process.processID, SIGCONT) }
        case .cable: try network?.plug(true)
        default:
            for proxy in proxies {
                proxy.mode = .passing
                proxy.cut()
            }
        }
        self.trouble = nil
        mayEnd(within: .seconds(60))
    }

    /// Ends it for good.
    func end() async {
        if let process, !process.hasEnded {
            process.kill()
            _ = await process.wait()
        }
        for proxy in proxies { proxy.stop() }
        network?.remove()
    }
}
