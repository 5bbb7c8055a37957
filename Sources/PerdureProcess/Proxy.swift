import Dispatch
import Foundation
import Synchronization

/// Stands between the connections of a program and a server on this machine, and fails as networks do.
package final class Proxy: Sendable {
    package enum Mode: Sendable {
        case passing
        /// What the server says is lost, and the connection stays.
        case swallowing
        /// Nothing comes through any more in either direction, and the connection stays.
        case silent
        /// The connection ends before the next thing that the server says comes through.
        case cuttingAnswers
        /// The connection ends before the next thing that is said to the server comes through.
        case cuttingQuestions
        /// A connection ends when it has asked for a commit, before the answer comes through.
        case losingCommits
        /// The same, but the server hears of it only after `letCommitThrough`.
        case holdingCommits
    }

    private struct State {
        var mode = Mode.passing
        var pairs: [Pair] = []
        /// How many connections were made.
        var count = 0
    }

    /// The two sockets of a connection, closed when nobody uses them any more.
    private final class Pair: Sendable {
        let client: Int32
        let server: Int32
        /// Nothing that the server says comes through any more.
        let isLost = Atomic(false)

        init(client: Int32, server: Int32) {
            self.client = client
            self.server = server
        }

        func end() { for socket in [client, server] { shutdown(socket, Int32(SHUT_RDWR)) } }

        deinit { for socket in [client, server] { close(socket) } }
    }

    /// No port could be had.
    package struct CannotListen: Error {}

    package static let loopback = "127.0.0.1"

    /// Where to connect to, on the address that it listens on.
    package let port: Int
    private let listener: Int32
    private let state = Mutex(State())
    private let released = DispatchSemaphore(value: 0)

    package var mode: Mode {
        get { state.withLock { $0.mode } }
        set { state.withLock { $0.mode = newValue } }
    }

    package var connectionCount: Int { state.withLock { $0.count } }
    /// One for each connection that is made.
    package let connections: AsyncStream<Void>
    private let connected: AsyncStream<Void>.Continuation

    /// - Parameters:
    ///   - upstream: The port of the server.
    ///   - port: One to listen on, where an earlier one did; 0 for any.
    ///   - host: The address of this machine to listen on.
    package init(to upstream: Int, on port: Int = 0, host: String = Proxy.loopback) throws {
        (connections, connected) = AsyncStream.makeStream()
        let listener = Self.socket()
        self.listener = listener
        var yes: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard Self.withAddress(port, host, { bind(listener, $0, $1) }) == 0, listen(listener, 64) == 0 else {
            throw CannotListen()
        }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
        }
        self.port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [self] in accept(upstream) }
    }

    deinit { close(listener) }

    /// From now on the port refuses, and every connection is cut.
    package func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        cut()
    }

    /// Lets the commit of one connection through that was held.
    package func letCommitThrough() { released.signal() }

    /// Ends every connection.
    package func cut() {
        for pair in state.withLock({ $0.pairs }) { pair.end() }
    }

    private static func socket() -> Int32 {
        #if os(Linux)
            Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        #else
            Foundation.socket(AF_INET, SOCK_STREAM, 0)
        #endif
    }

    private static func withAddress(_ port: Int, _ host: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr(host)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }

    private func accept(_ upstream: Int) {
        while true {
            let client = Foundation.accept(listener, nil, nil)
            if client < 0 { return }
            let server = Self.socket()
            let pair = Pair(client: client, server: server)
            guard Self.withAddress(upstream, Self.loopback, { connect(server, $0, $1) }) == 0 else { continue }
            state.withLock {
                $0.pairs.append(pair)
                $0.count += 1
            }
            connected.yield()
            Thread.detachNewThread { self.pump(pair, from: client, to: server, isAnswer: false) }
            Thread.detachNewThread { self.pump(pair, from: server, to: client, isAnswer: true) }
        }
    }

    private func pump(_ pair: Pair, from source: Int32, to target: Int32, isAnswer: Bool) {
        defer {
            pair.end()
            state.withLock { $0.pairs.removeAll { $0 === pair } }
        }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(source, &bytes, bytes.count, 0)
            if count <= 0 { return }
            if isAnswer, pair.isLost.load(ordering: .sequentiallyConsistent) { return }
            let commits = !isAnswer && bytes[..<count].contains(Array("COMMIT\0".utf8))
            switch (mode, isAnswer) {
            case (.swallowing, true), (.silent, _): continue
            case (.cuttingAnswers, true), (.cuttingQuestions, false): return
            case (.losingCommits, false) where commits: pair.isLost.store(true, ordering: .sequentiallyConsistent)
            case (.holdingCommits, false) where commits:
                pair.isLost.store(true, ordering: .sequentiallyConsistent)
                shutdown(source, Int32(SHUT_RDWR))
                released.wait()
                if Self.send(bytes[..<count], to: target) { Self.awaitAnswer(on: target) }
                return
            default: break
            }
            guard Self.send(bytes[..<count], to: target) else { return }
        }
    }

    private static func send(_ bytes: ArraySlice<UInt8>, to socket: Int32) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { Foundation.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if sent <= 0 { return false }
            rest = rest.dropFirst(sent)
        }
        return true
    }

    /// Before that the server might notice that nobody is there, and not do what it was asked for.
    private static func awaitAnswer(on socket: Int32) {
        var byte: UInt8 = 0
        recv(socket, &byte, 1, Int32(MSG_PEEK))
    }
}
