import Hummingbird

extension Response {
    private struct Document: Encodable {
        let status: Int
        let title: String
        let detail: String
    }

    /// A JSON answer.
    init(json: String, status: Int = 200, type: String = "application/json") {
        self.init(
            status: .init(code: status), headers: [.contentType: type], body: .init(byteBuffer: ByteBuffer(string: json)))
    }

    /// A problem as an answer.
    init(_ problem: Problem) throws {
        let document = Document(status: problem.status, title: problem.title, detail: problem.detail)
        self.init(json: try JSON.encode(document), status: problem.status, type: "application/problem+json")
        if let seconds = problem.retryAfter { headers[.retryAfter] = String(seconds) }
    }

    /// The answer as the last one of its connection: watching a connection for its end uses up its input.
    func closingConnection() -> Response {
        var response = self
        response.headers[.connection] = "close"
        return response
    }
}
