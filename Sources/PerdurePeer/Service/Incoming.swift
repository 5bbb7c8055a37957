import Foundation
import Hummingbird

/// What a route may read of a request: its fields in the path, the query and the body, all checked.
struct Incoming {
    /// Bytes a body may have.
    static let bodyLimit = 64 * 1024

    private let parameters: Parameters
    private let query: Parameters
    private let text: String

    init(_ request: Request, _ context: PeerContext, body: ByteBuffer) {
        parameters = context.parameters
        query = request.uri.queryParameters
        text = String(buffer: body)
    }

    /// The body as a value.
    func body<Body: Decodable>(_ type: Body.Type = Body.self) throws -> Body {
        try JSON.decode(type, from: text)
    }

    /// A part of the path.
    func path(_ name: String) throws -> String {
        guard let value = parameters.get(name)?.removingPercentEncoding else {
            throw Problem.malformed("the path is not correctly percent-encoded")
        }
        return try Self.label(value, name)
    }

    /// A parameter of the query, if it is there.
    func queried(_ name: String) throws -> String? {
        try query.get(name).map { try Self.label($0, name) }
    }

    /// A parameter of the query that must be there.
    func query(_ name: String) throws -> String {
        guard let value = try queried(name) else { throw Problem.unprocessable("the query parameter \"\(name)\" is missing") }
        return value
    }

    /// A count in the query, if it is there.
    func count(_ name: String) throws -> Int? {
        guard let text = try queried(name) else { return nil }
        guard let count = Int(text), (0...1_000_000_000).contains(count) else {
            throw Problem.unprocessable("\"\(name)\" must be a whole number from 0")
        }
        return count
    }

    /// Checks a name such as an order or a service: 1 to 200 characters, none of them a control character.
    static func label(_ value: String, _ name: String) throws -> String {
        let isPlain = !value.unicodeScalars.contains { $0.properties.generalCategory == .control }
        guard isPlain, (1...200).contains(value.count) else {
            throw Problem.unprocessable("\"\(name)\" must have 1 to 200 characters, none of them a control character")
        }
        return value
    }
}

extension HTTPFields {
    /// A field by its name in lower case, repeated ones joined as HTTP has it; `nil` if it is absent.
    func value(of name: String) -> String? {
        let values = filter { $0.name.canonicalName == name }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: ", ")
    }
}

extension Request {
    /// Reads the body and keeps it, so that the end of the connection can still be watched afterwards.
    ///
    /// - Throws: 413 if it is above the limit.
    mutating func collectedBody() async throws -> ByteBuffer {
        let tooLarge = Problem(413, "Content too large", "a body may have up to \(Incoming.bodyLimit) bytes")
        if let length = headers[.contentLength].flatMap(Int.init), length > Incoming.bodyLimit { throw tooLarge }
        var collected = ByteBuffer()
        for try await part in body {
            guard collected.readableBytes + part.readableBytes <= Incoming.bodyLimit else { throw tooLarge }
            collected.writeImmutableBuffer(part)
        }
        body = RequestBody(buffer: collected)
        return collected
    }
}
