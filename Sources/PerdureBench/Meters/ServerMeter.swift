import Foundation

/// What a PostgreSQL server on this machine uses: the processor time of all of its processes, and the transactions that have written.
///
/// Each transaction that writes takes a number, so the next number tells how many there were. What processes of the server used that
/// have ended, the system has added to their parent.
struct ServerMeter {
    private let server: PlainServer
    /// The parent of all; nil if the server is on another machine, or this system does not tell.
    private let postmaster: Int?

    init(_ url: String) throws {
        server = try PlainServer(url)
        let backend = try server.integer("SELECT pg_backend_pid()")
        // Another machine's number may be that of any process here.
        let isHere = (try? String(contentsOfFile: "/proc/\(backend)/comm", encoding: .utf8))?.hasPrefix("postgres") == true
        postmaster = isHere ? Self.stat(backend)?.parent : nil
    }

    func writtenTransactions() throws -> Int {
        try server.integer("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    }

    /// Seconds; zero if the server is on another machine.
    var processorTime: Double {
        guard let postmaster, let own = Self.stat(postmaster) else { return 0 }
        let path = "/proc/\(postmaster)/task/\(postmaster)/children"
        let children = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        return children.split(separator: " ").compactMap { Int($0) }.reduce(own.ofEnded + Self.exact(postmaster)) {
            $0 + Self.exact($1)
        }
    }

    /// The scheduler's own count, in nanoseconds: the ticks of `stat` are too coarse for many short-lived looks.
    private static func exact(_ process: Int) -> Double {
        let text = (try? String(contentsOfFile: "/proc/\(process)/schedstat", encoding: .utf8)) ?? ""
        return text.split(separator: " ").first.flatMap { Double($0) }.map { $0 / 1e9 } ?? 0
    }

    private static func stat(_ process: Int) -> (parent: Int, ofEnded: Double)? {
        guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
            // The name may have anything in it; what follows it is numbers.
            let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 14, let parent = Int(fields[1]), let user = Double(fields[13]), let system = Double(fields[14])
        else {
            return nil
        }
        return (parent, (user + system) / Double(sysconf(Int32(_SC_CLK_TCK))))
    }
}
