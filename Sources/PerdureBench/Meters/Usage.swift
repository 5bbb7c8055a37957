import Foundation
import GRDBSQLite

/// What the process has used up to a moment.
struct Usage: Sendable, Codable {
    /// Seconds of a clock that counts on.
    var time: Double
    /// Processor time of all threads, user and system, in seconds.
    var cpu: Double
    /// Waits for the disk; on a server the transactions that have written, of which several may share a wait.
    var syncs: Int
    /// The commits among them.
    var commits: Int

    /// Of this process alone.
    static var now: Usage {
        Usage(
            time: seconds(CLOCK_MONOTONIC), cpu: seconds(CLOCK_PROCESS_CPUTIME_ID), syncs: SyncCounter.count,
            commits: SyncCounter.logCount)
    }

    static func - (left: Usage, right: Usage) -> Usage {
        Usage(
            time: left.time - right.time, cpu: left.cpu - right.cpu, syncs: left.syncs - right.syncs,
            commits: left.commits - right.commits)
    }

    static func + (left: Usage, right: Usage) -> Usage {
        Usage(
            time: left.time + right.time, cpu: left.cpu + right.cpu, syncs: left.syncs + right.syncs,
            commits: left.commits + right.commits)
    }

    private static func seconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// Counts what is used by this process, and by the server that it works with.
struct Meter {
    let server: ServerMeter?

    /// What the body uses. Looking at the server is not counted.
    func usage<Result>(of body: () async throws -> Result) async throws -> (result: Result, usage: Usage) {
        let transactions = try server?.writtenTransactions() ?? 0, processorTime = server?.processorTime ?? 0
        let start = Usage.now
        let result = try await body()
        var usage = Usage.now - start
        if let server {
            usage.cpu += server.processorTime - processorTime
            usage.syncs = try server.writtenTransactions() - transactions
            usage.commits = usage.syncs
        }
        return (result, usage)
    }
}

/// The memory of this process, in bytes.
enum Memory {
    /// What is in memory now, after the allocator has given back what it can. Zero where the system does not tell.
    static var resident: Int {
        #if os(Linux)
            _ = giveBack?(0)
            guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
            let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
        #else
            return 0
        #endif
    }

    /// glibc's `malloc_trim`, which its Swift module leaves out; other C libraries have none.
    private static let giveBack: (@convention(c) (Int) -> Int32)? = dlsym(nil, "malloc_trim").map {
        unsafeBitCast($0, to: (@convention(c) (Int) -> Int32).self)
    }

    /// The most that was in memory at once. Zero where the system does not tell.
    static var peak: Int {
        guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = line.split(separator: " ").dropLast().last.flatMap({ Int($0) })
        else { return 0 }
        return kilobytes * 1_024
    }

    /// What SQLite holds: most of it pages of the file, up to a limit that does not depend on the number of runs.
    static var ofSQLite: Int { Int(sqlite3_memory_used()) }
}
