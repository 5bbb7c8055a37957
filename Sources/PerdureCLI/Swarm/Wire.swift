import Foundation
import Perdure
import Synchronization

/// The way from a run to the other side and back.
protocol SwarmWire: Sendable {
    /// Has an effect, once for each key; without one, once for each request. Nothing is done after the deadline.
    func effect(on resource: String, key: String?, until deadline: Date) async throws -> String
    /// Takes an effect back, once for each key; without one, once for each request.
    func undo(_ resource: String, key: String?, until deadline: Date) async throws
    /// - Throws: If the other side does not say.
    func hasHappened(_ resource: String) async throws -> Bool
    /// - Throws: If the other side does not say.
    func isUndone(_ resource: String) async throws -> Bool
}

extension SwarmWire {
    /// What the other side says to a question.
    static func yes(_ answer: String) throws -> Bool {
        switch answer {
        case "yes": true
        case "no": false
        default: throw NoAnswer()
        }
    }

    /// What the other side says of an effect.
    static func done(_ answer: String) throws {
        switch answer {
        case "ok": return
        case "busy": throw SwarmDelay()
        case "refused": throw SwarmRefusal()
        case "trap": trap([])
        default: throw NoAnswer()
        }
    }
}

/// Ends the process as a mistake in an author's code does.
private func trap(_ list: [Int]) -> Never {
    while list[list.count] >= 0 {}
    exit(EXIT_FAILURE)
}

/// Nobody knows whether it was done.
struct NoAnswer: Error {}

/// The way of a worker: lines over the process's own pipes. What was written before the process died
/// still arrives.
final class Wire: SwarmWire {
    private struct State {
        var last = 0
        var waiting: [Int: CheckedContinuation<String?, Never>] = [:]
    }

    private let state = Mutex(State())
    private let output = Mutex(())

    // MARK: Asking

    func effect(on resource: String, key: String?, until deadline: Date) async throws -> String {
        try Self.done(await ask("e", "\(key ?? "-") \(Self.microseconds(deadline)) \(resource)"))
        return resource
    }

    func undo(_ resource: String, key: String?, until deadline: Date) async throws {
        try Self.done(await ask("u", "\(key ?? "-") \(Self.microseconds(deadline)) \(resource)"))
    }

    func hasHappened(_ resource: String) async throws -> Bool { try Self.yes(await ask("p", resource)) }
    func isUndone(_ resource: String) async throws -> Bool { try Self.yes(await ask("q", resource)) }

    private static func microseconds(_ date: Date) -> Int64 { Int64(date.timeIntervalSince1970 * 1_000_000) }

    private func ask(_ kind: String, _ words: String) async throws -> String {
        let number = state.withLock { state in
            state.last += 1
            return state.last
        }
        let answer = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isCancelled = state.withLock { state in
                    if !Task.isCancelled { state.waiting[number] = continuation }
                    return Task.isCancelled
                }
                guard !isCancelled else { return continuation.resume(returning: nil) }
                say("\(kind) \(number) \(words)")
                // The undo of a child has no policy of the caller's, so its attempts have minutes.
                DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(2)) { [self] in answered(number, "late") }
            }
        } onCancel: {
            answered(number, nil)
        }
        guard let answer else { throw CancellationError() }
        return answer
    }

    /// An answer has come; nil if nobody waits for it any more.
    func answered(_ number: Int, _ answer: String?) {
        state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(returning: answer)
    }

    /// Writes a whole line straight to the pipe: nothing may be left in a buffer when the process dies.
    func say(_ line: String) {
        output.withLock { _ in try? FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8)) }
    }
}
