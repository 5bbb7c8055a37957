internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1

/// Sends requests as `POST` with a body of protobuf.
struct HTTPTransport: OTLPTransport {
    private let endpoint: OTLPConfiguration.Endpoint
    private let client: HTTPClient
    private static let largestAnswer = 4 << 20

    init(_ endpoint: OTLPConfiguration.Endpoint) {
        self.endpoint = endpoint
        var configuration = HTTPClient.Configuration()
        // A redirect would send on what was meant for this receiver, headers and all.
        configuration.redirectConfiguration = .disallow
        // A receiver that is down is told at once: whoever sends knows when to try again.
        configuration.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    func send(_ body: [UInt8]) async -> OTLPReply {
        var request = HTTPClientRequest(url: endpoint.url)
        request.method = .POST
        for (name, value) in endpoint.headers { request.headers.replaceOrAdd(name: name, value: value) }
        request.headers.replaceOrAdd(name: "content-type", value: "application/x-protobuf")
        request.body = .bytes(ByteBuffer(bytes: body))
        let wholeRequest = request
        do {
            return try await withThrowingTaskGroup(of: OTLPReply.self) { group in
                group.addTask { try await answer(to: wholeRequest) }
                // The client's own limit ends with the head of the answer.
                group.addTask { [endpoint] in
                    try await Task.sleep(for: endpoint.timeout)
                    return .notNow("no answer in time")
                }
                defer { group.cancelAll() }
                return try await group.next() ?? .notNow("no answer")
            }
        } catch {
            return .notNow("no answer (\(type(of: error)))")
        }
    }

    private func answer(to request: HTTPClientRequest) async throws -> OTLPReply {
        let response = try await client.execute(request, timeout: .nanoseconds(endpoint.timeout.wholeNanoseconds))
        let status = response.status.code, headers = response.headers
        // An answer whose body breaks off has told its status all the same.
        let content = (try? await response.body.collect(upTo: Self.largestAnswer)).map { Array($0.readableBytesView) } ?? []
        return Self.reply(Int(status), retryAfter: headers.first(name: "retry-after"), content, now: Date())
    }

    func run() async {}

    func close() async { try? await client.shutdown() }

    /// The rules of OTLP over HTTP.
    static func reply(_ status: Int, retryAfter: String?, _ body: [UInt8], now: Date) -> OTLPReply {
        if (200..<300).contains(status) { return .taken(body) }
        let message = (try? ErrorResponse(body))?.message ?? ""
        let reason = "status \(status)\(message.isEmpty ? "" : ": \(message.prefix(200))")"
        switch status {
        case 429, 502, 503, 504: return .notNow(reason, after: retryAfter.flatMap { delay($0, now: now) })
        default: return .refused(reason)
        }
    }

    /// Seconds, or a date.
    private static func delay(_ text: String, now: Date) -> Duration? {
        if let seconds = Int64(text.trimmingCharacters(in: .whitespaces)), seconds >= 0 { return .seconds(min(seconds, 86_400)) }
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "GMT")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
        guard let date = formatter.date(from: text) else { return nil }
        return .seconds(min(max(0, date.timeIntervalSince(now).rounded(.up)), 86_400))
    }
}

extension Duration {
    /// Beyond what 64 bits hold it saturates.
    var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (value, hasOverflown) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return hasOverflown
            ? (seconds > 0 ? .max : .min) : value.addingReportingOverflow(attoseconds / 1_000_000_000).partialValue
    }
}
