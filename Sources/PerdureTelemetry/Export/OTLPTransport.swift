/// Sends requests to one receiver.
protocol OTLPTransport: Sendable {
    /// Sends a request once.
    func send(_ request: [UInt8]) async -> OTLPReply
    /// Keeps what connections need until `close` is called.
    func run() async
    /// Nothing is sent any more. Not called twice.
    func close() async
}

/// What came of sending a request once.
enum OTLPReply: Sendable, Hashable {
    case taken(ExportResponse)
    /// It must not be sent again.
    case refused(String)
    /// It may be sent again: after this time at the earliest, if the receiver has said so.
    case notNow(String, after: Duration? = nil)
}

extension OTLPReply {
    /// What a receiver took. A body that cannot be read changes nothing about that.
    static func taken(_ body: some Sequence<UInt8>) -> OTLPReply { .taken((try? ExportResponse(body)) ?? ExportResponse()) }
}
