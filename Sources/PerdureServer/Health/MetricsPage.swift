internal import Hummingbird

/// What the process counts, as text for whoever collects it.
package struct MetricsPage: Sendable {
    private let type: String
    private let text: @Sendable () -> String

    /// - Parameter type: The media type of the text.
    package init(type: String, text: @escaping @Sendable () -> String) {
        self.type = type
        self.text = text
    }

    var response: Response {
        Response(
            status: .ok, headers: [.contentType: type, .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(string: text())))
    }
}
