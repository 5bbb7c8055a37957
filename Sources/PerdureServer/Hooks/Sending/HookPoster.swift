internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import PerdureHistory

/// Makes one try to deliver, over a connection of its own to an address that was checked. Proxies that the environment names are not
/// asked, and redirections are not followed: both would connect elsewhere.
struct HookPoster: Sendable {
    /// How long one exchange may take, answer and all.
    static let patience = Duration.seconds(20)
    /// How much of an answer is read.
    private static let mostRead = 64 << 10

    let targets: HookTargets
    /// Asked once for each try.
    var addresses: @Sendable (_ host: String) async throws -> [IPAddress] = { try await HookResolver.addresses(of: $0) }
    var patience = Self.patience

    /// - Parameter number: Of the try; another address of a name that has several is taken each time.
    /// - Throws: `CancellationError`; the other side may have heard of it.
    func post(
        _ body: [UInt8], _ fields: [(String, String)], to address: HookAddress, number: Int
    ) async throws -> HookOutcome {
        let outcome = try await firstResult(within: patience) { try await exchange(body, fields, address, number) }
        return outcome ?? .failed(.tooLate)
    }

    private func exchange(
        _ body: [UInt8], _ fields: [(String, String)], _ address: HookAddress, _ number: Int
    ) async throws -> HookOutcome {
        let known = if let literal = address.literal { [literal] } else { try await addresses(address.host) }
        guard !known.isEmpty else { return .failed(.unresolved) }
        let allowed = targets.allowed(known, for: address)
        guard !allowed.isEmpty else { return .failed(.refused) }
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        // The client connects to this, whatever the name leads to by now, and asks for a certificate of the name. The key is the name as
        // the client reads it from the address, which was made of it.
        if address.literal == nil { configuration.dnsOverride = [address.host: allowed[number % allowed.count].description] }
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        // Nobody waits for the other side to take its leave.
        defer { Task { try? await client.shutdown() } }
        var request = HTTPClientRequest(url: address.text)
        request.method = .POST
        request.headers = HTTPHeaders(fields)
        request.body = .bytes(ByteBuffer(bytes: body))
        let response: HTTPClientResponse
        do {
            response = try await client.execute(request, timeout: .seconds(patience.components.seconds + 1))
        } catch {
            try Task.checkCancellation()
            return .failed(.unreachable)
        }
        try await read(response.body)
        let status = Int(response.status.code)
        let wish = [429, 503].contains(status) ? response.headers.first(name: "retry-after").flatMap(Self.delay) : nil
        return .answered(status: status, retryAfter: wish)
    }

    /// To its end, so that whoever is slow with it was not in time. One that breaks off has told its status all the same.
    private func read(_ body: HTTPClientResponse.Body) async throws {
        var size = 0
        do {
            for try await part in body {
                size += part.readableBytes
                if size > Self.mostRead { return }
            }
        } catch {
            try Task.checkCancellation()
        }
    }

    /// Seconds; a date is not honoured, since it would be compared with a clock that is not ours.
    static func delay(_ text: String) -> Duration? {
        guard let seconds = Int64(text), seconds >= 0 else { return nil }
        return .seconds(min(seconds, 10 * 86_400))
    }
}
