internal import Dispatch
internal import Foundation
internal import Synchronization

/// Asks the system for the addresses of a name.
enum HookResolver {
    /// How many questions may be open at once. Each holds a thread, for as long as the servers of names leave it without an answer.
    private static let mostOpen = 32
    private static let queue = DispatchQueue(label: "perdure.hooks.names", attributes: .concurrent)
    private static let open = Mutex(0)

    /// - Returns: None if it has none, or if too many questions are open.
    /// - Throws: `CancellationError`.
    static func addresses(of host: String) async throws -> [IPAddress] {
        let isTooMany = open.withLock { open in
            guard open < mostOpen else { return true }
            open += 1
            return false
        }
        if isTooMany { return [] }
        // The system cannot be told to stop asking; whoever asks need not wait for it.
        let answer = Answer()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                answer.await(continuation)
                queue.async {
                    answer.give(.success(ask(host)))
                    open.withLock { $0 -= 1 }
                }
            }
        } onCancel: {
            answer.give(.failure(CancellationError()))
        }
    }

    private static func ask(_ host: String) -> [IPAddress] {
        var hints = addrinfo(), found: UnsafeMutablePointer<addrinfo>?
        hints.ai_family = AF_UNSPEC
        hints.ai_protocol = Int32(IPPROTO_TCP)
        guard getaddrinfo(host, nil, &hints, &found) == 0 else { return [] }
        defer { freeaddrinfo(found) }
        var addresses: [IPAddress] = []
        var next = found
        while let info = next?.pointee {
            if let place = info.ai_addr, let address = address(at: place, info.ai_family), !addresses.contains(address) {
                addresses.append(address)
            }
            next = info.ai_next
        }
        return addresses
    }

    private static func address(at place: UnsafeMutablePointer<sockaddr>, _ family: Int32) -> IPAddress? {
        switch family {
        case AF_INET: place.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { IPAddress($0.pointee.sin_addr) }
        case AF_INET6: place.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { IPAddress($0.pointee.sin6_addr) }
        default: nil
        }
    }

    /// Given once, whoever is first.
    private final class Answer: Sendable {
        private enum State {
            case open
            case awaited(CheckedContinuation<[IPAddress], any Error>)
            case given(Result<[IPAddress], any Error>)
        }
        private let state = Mutex(State.open)

        func await(_ continuation: CheckedContinuation<[IPAddress], any Error>) {
            let given = state.withLock { state -> Result<[IPAddress], any Error>? in
                if case .given(let result) = state { return result }
                state = .awaited(continuation)
                return nil
            }
            if let given { continuation.resume(with: given) }
        }

        func give(_ result: Result<[IPAddress], any Error>) {
            let waiting = state.withLock { state -> CheckedContinuation<[IPAddress], any Error>? in
                defer { if case .given = state {} else { state = .given(result) } }
                if case .awaited(let continuation) = state { return continuation }
                return nil
            }
            waiting?.resume(with: result)
        }
    }
}
