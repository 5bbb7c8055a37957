internal import Hummingbird
internal import NIOCore

extension Request {
    /// The whole body. Of one that is too large some more is read and thrown away: who is still sending when the connection closes would
    /// see that it did, and not why.
    ///
    /// - Returns: nil if it is too large.
    func bytes(atMost limit: Int) async throws -> [UInt8]? {
        let patience = 8 * limit
        if let length = headers[.contentLength].flatMap({ Int($0) }), length > patience { return nil }
        var bytes: [UInt8] = [], size = 0
        for try await part in body {
            size += part.readableBytes
            if size > patience { return nil }
            if size <= limit { bytes += part.readableBytesView } else { bytes = [] }
        }
        return size > limit ? nil : bytes
    }
}
