import Foundation

/// A PostgreSQL server in a folder of its own, which can be killed, started again, copied, and put in the place of the one it follows.
///
/// It is its maker's alone: it listens on the loopback interface, with a password that the maker makes up.
final class PostgresServer {
    static let user = "perdure"

    let port: Int
    private let folder: URL
    private let programs: PostgresPrograms
    private let password: String
    private var process: Process?

    init(_ programs: PostgresPrograms, folder: URL, port: Int, password: String) {
        self.programs = programs
        self.folder = folder
        self.port = port
        self.password = password
    }

    private var data: String { folder.appending(path: "data").path }
    private var secret: [String: String] { ["PGPASSWORD": password] }

    /// Makes an empty database cluster.
    func make() async throws {
        try programs.makeFolder(folder)
        let file = folder.appending(path: "secret").path
        try programs.write(password, to: file)
        try await programs.run(
            "initdb",
            [
                "-D", data, "-U", Self.user, "--pwfile", file, "-E", "UTF8", "--locale=C", "--auth=scram-sha-256", "--no-sync",
            ])
    }

    /// Makes a copy of another server that will follow it.
    func copy(_ leader: PostgresServer) async throws {
        try programs.makeFolder(folder)
        try await programs.run(
            "pg_basebackup",
            [
                "-D", data, "-h", "127.0.0.1", "-p", "\(leader.port)", "-U", Self.user, "-R", "-X", "stream", "-c", "fast",
                "--no-sync",
            ], secret)
    }

    /// Starts it and waits until it lets somebody in.
    func start() async throws {
        let settings = [
            "port=\(port)", "listen_addresses=127.0.0.1", "unix_socket_directories=\(folder.path)", "max_connections=300",
            "wal_keep_size=512MB", "wal_retrieve_retry_interval=200ms", "timezone=UTC",
        ]
        let log = folder.appending(path: "log").path
        process = try programs.spawn("postgres", ["-D", data] + settings.map { "--\($0)" }, log: log)
        try await untilItAnswers()
    }

    /// Starts a follower that was stopped as a server of its own, with what it had then.
    func startAlone() async throws {
        try FileManager.default.removeItem(atPath: "\(data)/standby.signal")
        try await start()
    }

    /// Starts it if it has given up, and waits until it lets somebody in.
    func comeBack() async throws {
        if process?.isRunning == true, (try? await untilItAnswers()) != nil { return }
        try await start()
    }

    private func untilItAnswers() async throws {
        for _ in 0..<1_200 {
            if process?.isRunning == false { break }
            if try await answers("SELECT 1") { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        let log = (try? String(contentsOfFile: folder.appending(path: "log").path, encoding: .utf8)) ?? ""
        throw TrialError("the server on port \(port) does not start: \(log.suffix(4_000))")
    }

    /// Kills the server and all of its processes, as the kernel does that is out of memory.
    func kill() {
        guard let process, process.isRunning else { return }
        let postmaster = process.processIdentifier
        // Stopped first, so that it neither starts others nor hears of their end.
        Foundation.kill(postmaster, SIGSTOP)
        for child in Self.children(of: postmaster) { Foundation.kill(child, SIGKILL) }
        Foundation.kill(postmaster, SIGKILL)
        process.waitUntilExit()
    }

    static func freePort() throws -> Int {
        let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(file) }
        var address = sockaddr_in(), length = socklen_t(MemoryLayout<sockaddr_in>.size)
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(file, $0, length) == 0 && getsockname(file, $0, &length) == 0
            }
        }
        guard isBound else { throw TrialError("no port is free") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    private static func children(of process: Int32) -> [Int32] {
        let list = try? String(contentsOfFile: "/proc/\(process)/task/\(process)/children", encoding: .utf8)
        return (list ?? "").split(separator: " ").compactMap { Int32($0) }
    }

    /// All processes of the server.
    var processes: [Int32] {
        guard let process, process.isRunning else { return [] }
        return [process.processIdentifier] + Self.children(of: process.processIdentifier)
    }

    /// Ends it in good order, with every connection cut.
    func stop() {
        guard let process, process.isRunning else { return }
        process.interrupt()
        process.waitUntilExit()
    }

    func remove() {
        kill()
        // What was killed may still be at its last write.
        for _ in 0..<50 where FileManager.default.fileExists(atPath: folder.path) {
            do { try FileManager.default.removeItem(at: folder) } catch { usleep(100_000) }
        }
    }

    /// Has a follower lead.
    func promote() async throws {
        _ = try await query("SELECT pg_promote(true, 60)")
    }

    /// What one statement answers; several statements are separated by semicolons and each is committed.
    @discardableResult
    func query(_ sql: String) async throws -> String {
        try await programs.run(
            "psql",
            [
                "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", "\(port)", "-U", Self.user, "-d",
                "postgres",
            ] + sql.split(separator: ";").flatMap { ["-c", String($0)] }, secret)
    }

    func answers(_ sql: String) async throws -> Bool { (try? await query(sql)) != nil }
}

/// The server's programs, run as somebody who is not root: the server refuses to be.
struct PostgresPrograms: Sendable {
    private let folder: String
    private let account: (name: String, user: uid_t, group: gid_t)?

    init() throws {
        let versions = "/usr/lib/postgresql"
        let found = ((try? FileManager.default.contentsOfDirectory(atPath: versions)) ?? []).compactMap { Int($0) }.sorted()
        guard let newest = found.last else {
            throw TrialError("The server's programs are not installed: sudo apt-get install -y postgresql")
        }
        folder = "\(versions)/\(newest)/bin"
        account = geteuid() == 0 ? try Self.otherAccount() : nil
    }

    private static func otherAccount() throws -> (String, uid_t, gid_t) {
        for name in ["postgres", "nobody"] {
            if let entry = getpwnam(name)?.pointee { return (name, entry.pw_uid, entry.pw_gid) }
        }
        throw TrialError("The server cannot be run by root, and there is no user postgres or nobody.")
    }

    func makeFolder(_ folder: URL) throws {
        try? FileManager.default.removeItem(at: folder)
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        own(folder.path)
    }

    func write(_ text: String, to path: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        own(path)
    }

    private func own(_ path: String) { if let account { chown(path, account.user, account.group) } }

    /// Starts a program that goes on by itself.
    func spawn(_ program: String, _ arguments: [String], log: String) throws -> Process {
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let process = made(program, arguments, [:]), file = FileHandle(forWritingAtPath: log)
        process.standardOutput = file
        process.standardError = file
        try process.run()
        return process
    }

    /// Runs a program to its end.
    @discardableResult
    func run(_ program: String, _ arguments: [String], _ variables: [String: String] = [:]) async throws -> String {
        let process = made(program, arguments, variables), output = Pipe()
        process.standardOutput = output
        process.standardError = output
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                do {
                    try process.run()
                    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                    process.waitUntilExit()
                    guard process.terminationStatus == 0 else { throw TrialError("\(program) failed: \(text)") }
                    continuation.resume(returning: text.trimmingCharacters(in: .whitespacesAndNewlines))
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }

    private func made(_ program: String, _ arguments: [String], _ variables: [String: String]) -> Process {
        let process = Process(), path = "\(folder)/\(program)"
        if let account {
            process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
            process.arguments =
                ["--reuid=\(account.user)", "--regid=\(account.group)", "--clear-groups", path] + arguments
        } else {
            process.executableURL = URL(fileURLWithPath: path)
            process.arguments = arguments
        }
        process.environment = ["PATH": "/usr/bin:/bin", "LC_ALL": "C"].merging(variables) { $1 }
        process.currentDirectoryURL = URL(fileURLWithPath: "/")
        process.standardInput = FileHandle.nullDevice
        return process
    }
}
