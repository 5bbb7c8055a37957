internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Synchronization

/// An answer that goes on: server-sent events, as the HTML standard has them.
struct EventStream: Sendable {
    static let mediaType = "text/event-stream"
    static let lastEventID = HTTPField.Name("Last-Event-ID")

    /// Ends with the stream; cancelled if nobody is there any more, or the server ends.
    let write: @Sendable @concurrent (_ tell: @concurrent (String) async throws -> Void) async throws -> Void

    /// - Parameter channel: Closed under a reader who takes nothing for too long.
    func body(for request: Request, over channel: any Channel) -> ResponseBody {
        ResponseBody { writer in
            let watch = StallWatch(channel)
            defer { watch.end() }
            do {
                // Without this a client that went away is noticed only when something is sent.
                try await request.body.consumeWithCancellationOnInboundClose { _ in
                    try await write { @concurrent text in
                        watch.begin()
                        try await writer.write(ByteBuffer(string: text))
                        watch.finish()
                    }
                }
            } catch is CancellationError {
                // Whoever is still there connects again.
            }
            try await writer.finish(nil)
        }
    }
}

/// Closes a connection whose other side reads nothing, so that it does not hold what is kept for it for ever.
private final class StallWatch: Sendable {
    private static let patience = Duration.seconds(30)
    private static let pause = Duration.seconds(5)

    private let began = Mutex<ContinuousClock.Instant?>(nil)
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(_ channel: any Channel) {
        task.withLock {
            $0 = Task { [weak self] in
                while (try? await Task.sleep(for: Self.pause)) != nil, let self {
                    if isOverdue { return channel.close(promise: nil) }
                }
            }
        }
    }

    private var isOverdue: Bool { began.withLock { $0.map { $0.duration(to: .now) > Self.patience } ?? false } }

    func begin() { began.withLock { $0 = .now } }
    func finish() { began.withLock { $0 = nil } }
    func end() { task.withLock { $0?.cancel() } }
}
