import Foundation
import Synchronization

/// A server and its synchronous replica, which has confirmed every commit before anybody is told of it.
final class FailureDatabase {
    let ports: [Int]
    private let folder: URL
    private var leader: PostgresServer
    private var follower: PostgresServer
    /// One for each server where a disk is to be full, by the server's port.
    private let disks: [Int: SmallDisk]

    init(_ settings: FailureSettings) async throws {
        let programs = try PostgresPrograms(), ports = [try PostgresServer.freePort(), try PostgresServer.freePort()]
        // The server's user has to get through to its own folder.
        try FileManager.default.createDirectory(
            at: settings.folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        var disks: [Int: SmallDisk] = [:]
        func server(_ number: Int) throws -> PostgresServer {
            let folder = settings.folder.appending(path: "server-\(number)")
            guard settings.kinds.contains(.disk) else {
                return PostgresServer(programs, folder: folder, port: ports[number], password: settings.password)
            }
            disks[ports[number]] = try SmallDisk(folder)
            return PostgresServer(
                programs, folder: folder.appending(path: "cluster"), port: ports[number], password: settings.password)
        }
        self.ports = ports
        folder = settings.folder
        leader = try server(0)
        follower = try server(1)
        self.disks = disks
        do {
            try await leader.make()
            try await leader.start()
            try await follow()
        } catch {
            remove()
            throw error
        }
    }

    func strike(_ fault: ClusterFault) async throws {
        switch fault {
        case .restart:
            leader.stop()
            try await leader.start()
        case .crash:
            leader.kill()
            try await leader.start()
        case .disk:
            try disks[leader.port]?.fill()
            defer { disks[leader.port]?.free() }
            try await Task.sleep(for: .seconds(5))
            disks[leader.port]?.free()
            try await leader.comeBack()
        case .promotion:
            try await waitForFollower()
            leader.kill()
            try await follower.promote()
            swap(&leader, &follower)
            try await leader.query("ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()")
            try await follow()
        case .lateReplica:
            try await waitForFollower()
            try await leader.query("ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()")
            try await follower.query("ALTER SYSTEM SET primary_conninfo = ''; SELECT pg_reload_conf()")
            try await commitOn()
            leader.kill()
            try await follower.promote()
            swap(&leader, &follower)
            try await follow()
        case .restore:
            try await waitForFollower()
            // What a replica that was stopped has in its folder is a copy of a moment ago.
            try await leader.query("ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()")
            follower.stop()
            try await commitOn()
            leader.kill()
            try await follower.startAlone()
            swap(&leader, &follower)
            try await leader.query("ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()")
            try await follow()
        default: break
        }
    }

    /// Lets what will be lost come about.
    private func commitOn() async throws { try await Task.sleep(for: .milliseconds(1_500)) }

    /// Has nodes go on as if what may be lost had been put in doubt.
    func liftHold() async throws {
        try await leader.query(
            "UPDATE perdure.restorations SET lifted_at = noticed_at, lifted_by = 'nobody' WHERE lifted_at IS NULL")
    }

    /// Makes the follower, and has commits wait for it from then on.
    private func follow() async throws {
        try await follower.copy(leader)
        try await follower.start()
        try await leader.query("ALTER SYSTEM SET synchronous_standby_names = '*'; SELECT pg_reload_conf()")
        try await waitForFollower()
    }

    private func waitForFollower() async throws {
        for _ in 0..<1_200 {
            if try await leader.query("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1" { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw TrialError("the replica does not follow")
    }

    /// The addresses of both, one of which leads.
    var address: String {
        let hosts = ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
        return "postgres://\(PostgresServer.user)@\(hosts)/postgres?connect_timeout=3"
    }

    func remove() {
        leader.remove()
        follower.remove()
        for disk in disks.values { disk.remove() }
        try? FileManager.default.removeItem(at: folder)
    }
}
