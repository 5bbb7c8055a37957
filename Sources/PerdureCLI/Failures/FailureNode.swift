import Foundation
import PerdureProcess

/// One of the nodes of the trial: a process that is started again whenever it has ended, and what stands between it and the servers.
final class FailureNode {
    let number: Int
    /// One for each server.
    let proxies: [Proxy]
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

    init(_ number: Int, servers: [Int]) throws {
        self.number = number
        proxies = try servers.map { try Proxy(to: $0) }
    }

    func start(_ settings: FailureSettings, _ ear: SwarmEar) throws {
        let hosts = proxies.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
        let process = try LineProcess(
            executable: settings.executable,
            [
                "swarm-worker", "--store", "postgres://\(PostgresServer.user)@\(hosts)/postgres?connect_timeout=3", "--seed",
                "\(settings.seed)", "--build", "release-\(build % 2)",
            ] + (settings.without.map { ["--without", $0.rawValue] } ?? []), variables: ["PGPASSWORD": settings.password],
            isHeard: settings.isHeard)
        self.process = process
        reading = Task { for await line in process.lines { ear.hear(line, from: process) } }
        asked = 0
        isLeaving = false
    }

    /// If the process has ended: how, and whether it may have.
    func ended(_ ear: SwarmEar) async -> (status: Int32, isExpected: Bool)? {
        guard let process, process.hasEnded else { return nil }
        let status = await process.wait()
        await reading?.value
        ear.forget(process)
        self.process = nil
        if trouble?.fault == .freeze { trouble = nil }
        // With an error of its own: one that traps is a find at any time.
        let hasLapsed = status == EXIT_FAILURE && mayEndUntil.map { ContinuousClock.now < $0 } ?? false
        return (status, status == -SIGKILL || status == 0 && isLeaving || hasLapsed)
    }

    /// Whether it is at work and nothing is being done to it.
    func isUp(_ ear: SwarmEar) -> Bool {
        guard let process, !process.hasEnded, !isLeaving, trouble == nil else { return false }
        return ear.isReady(process)
    }

    /// For so long after a trouble, or one of the server, it may find that others have its runs.
    func mayEnd(within time: Duration) { mayEndUntil = .now + time }

    func strike(_ fault: ClusterFault, for length: Duration) {
        guard let process else { return }
        switch fault {
        case .kill: process.kill()
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
        case .moment, .restart, .crash, .promotion: break
        }
    }

    /// Ends a trouble whose time is over.
    func heal(_ now: ContinuousClock.Instant) {
        guard let trouble, now >= trouble.end else { return }
        switch trouble.fault {
        case .freeze: if let process { Foundation.kill(process.processID, SIGCONT) }
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
    }
}
