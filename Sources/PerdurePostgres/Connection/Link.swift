internal import CPostgres
internal import Foundation
internal import PerdureStore

/// A connection to the server, on which nothing is waited for without limit. Only one thread at a time may use it.
///
/// A link that failed in any way that leaves open what comes next is lost, and nothing is sent on it any more.
final class Link {
    let handle: OpaquePointer
    private(set) var isLost = false
    /// Whether the server has said, unasked, that it ends the connection.
    private var isEnding = false
    /// The slots of the statements that the server has prepared for this link.
    var prepared: Set<Int> = []
    let preparesStatements: Bool

    /// Tries the hosts of the address one after the other.
    static func open(_ address: ServerAddress) throws -> Link {
        var failures: [ConnectFailure] = []
        for values in address.attempts {
            do {
                return try Link(values, limit: address.connectLimit, preparesStatements: address.preparesStatements)
            } catch {
                failures.append(error)
            }
        }
        throw failures.count == 1 ? failures[0] : ConnectFailure(failures)
    }

    private init(_ values: [String: String], limit: Duration, preparesStatements: Bool) throws(ConnectFailure) {
        self.preparesStatements = preparesStatements
        let deadline = ContinuousClock.now + limit
        guard let handle = Self.begin(values) else { throw ConnectFailure("there is no memory for a connection") }
        // Only so does the text of a refusal have the server's code in it.
        PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
        do {
            try Self.finish(handle, by: deadline, limit)
        } catch {
            PQfinish(handle)
            throw error
        }
        self.handle = handle
        PQsetnonblocking(handle, 1)
        // Otherwise libpq would print them. This object outlives the handle.
        _ = PQsetNoticeReceiver(
            handle, { link, notice in if let link { Unmanaged<Link>.fromOpaque(link).takeUnretainedValue().heard(notice) } },
            Unmanaged.passUnretained(self).toOpaque())
    }

    deinit { PQfinish(handle) }

    private static func begin(_ values: [String: String]) -> OpaquePointer? {
        let names = values.keys.sorted()
        var keys: [UnsafePointer<CChar>?] = names.map { strdup($0) }.map { $0.map { UnsafePointer($0) } }
        var texts: [UnsafePointer<CChar>?] = names.map { strdup(values[$0] ?? "") }.map { $0.map { UnsafePointer($0) } }
        defer { for text in keys + texts { free(UnsafeMutablePointer(mutating: text)) } }
        keys.append(nil)
        texts.append(nil)
        return PQconnectStartParams(keys, texts, 0)
    }

    private static func finish(_ handle: OpaquePointer, by deadline: ContinuousClock.Instant, _ limit: Duration)
        throws(ConnectFailure)
    {
        guard PQstatus(handle) != CONNECTION_BAD else { throw ConnectFailure(complaint(of: handle)) }
        var events = Readiness.writing
        while true {
            // libpq may take another socket with every step.
            guard Readiness.wait(for: [(PQsocket(handle), events)], until: deadline) != nil else {
                let host = PQhost(handle).map { String(cString: $0) } ?? "",
                    port = PQport(handle).map { String(cString: $0) } ?? ""
                throw ConnectFailure("the server at \(host), port \(port), has not answered within \(limit)")
            }
            switch PQconnectPoll(handle) {
            case PGRES_POLLING_OK: return
            case PGRES_POLLING_READING: events = .reading
            case PGRES_POLLING_WRITING: events = .writing
            default: throw ConnectFailure(complaint(of: handle))
            }
        }
    }

    private static func complaint(of handle: OpaquePointer) -> String {
        PQerrorMessage(handle).map { String(cString: $0) } ?? "libpq gives no reason"
    }

    /// What libpq complained of last.
    var complaint: String {
        Self.complaint(of: handle).split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.isEmpty && !$0.hasPrefix("LOCATION:") }.joined(separator: " ").legible
    }

    // MARK: State

    var socket: Int32 { PQsocket(handle) }
    var backend: Int32 { PQbackendPID(handle) }
    /// In a transaction that goes on, or in one that failed and waits for its end.
    var isInTransaction: Bool { PQtransactionStatus(handle) == PQTRANS_INTRANS || isInFailedTransaction }
    var isInFailedTransaction: Bool { PQtransactionStatus(handle) == PQTRANS_INERROR }

    /// Nothing is asked of the link any more.
    func lose() { isLost = true }

    private func heard(_ notice: OpaquePointer?) {
        if let notice, let failure = ServerFailure(notice), failure.endsLink { isEnding = true }
    }

    /// Whether the link, on which nothing is outstanding, is as good as it was. Asks nobody: a server that ended has said so.
    func isAlive() -> Bool {
        // Each turn takes in what has come; an end of the stream ends it.
        while !isLost, !isEnding, PQstatus(handle) == CONNECTION_OK {
            guard Readiness.wait(for: [(socket, .reading)], until: .now) != nil else { return true }
            if PQconsumeInput(handle) == 0 { break }
            _ = PQisBusy(handle)
        }
        isLost = true
        return false
    }

    /// The notification that came next, if one came; `isOwn` if this link has sent it.
    func nextNotification() -> (channel: String, isOwn: Bool)? {
        guard let notification = PQnotifies(handle) else { return nil }
        defer { PQfreemem(notification) }
        return (String(cString: notification.pointee.relname), notification.pointee.be_pid == backend)
    }
}

/// Waiting for sockets.
enum Readiness {
    case reading, writing, both

    private var events: Int16 {
        switch self {
        case .reading: Int16(POLLIN)
        case .writing: Int16(POLLOUT)
        case .both: Int16(POLLIN | POLLOUT)
        }
    }

    /// Waits until one of the files is ready, or broken, which the next call on it will tell.
    /// - Returns: which are, in their order; nil if none was before the deadline. What is over already is looked at once.
    static func wait(for files: [(Int32, Readiness)], until deadline: ContinuousClock.Instant) -> [Bool]? {
        var waiting = files.map { pollfd(fd: $0.0, events: $0.1.events, revents: 0) }
        while true {
            let left = max(.zero, deadline - .now)
            // Rounded up, so as not to ask again and again in the last millisecond.
            let milliseconds = Int32(min((left + .microseconds(999)) / .milliseconds(1), 1e9))
            let ready = poll(&waiting, nfds_t(waiting.count), milliseconds)
            if ready > 0 { return waiting.map { $0.revents != 0 } }
            // A signal, or a wait that was longer than poll can count.
            if ready == 0 || errno != EINTR, deadline <= .now { return nil }
        }
    }
}
