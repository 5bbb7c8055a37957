import Hummingbird
import Logging

/// Turns every error into an RFC 9457 problem.
struct ProblemMiddleware: RouterMiddleware {
    typealias Context = PeerContext

    private struct Document: Encodable {
        let status: Int
        let title: String
        let detail: String
    }

    @concurrent func handle(
        _ request: Request, context: PeerContext, next: @concurrent (Request, PeerContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let problem as Problem {
            return try response(problem)
        } catch let error as HTTPError {
            return try response(Problem(error.status.code, error.status.reasonPhrase, error.body ?? "no such route"))
        } catch is CancellationError {
            return try response(Problem(503, "Service unavailable", "the peer is going down, or the caller has gone"))
        } catch {
            context.logger.error("a request failed", metadata: ["error": "\(error)"])
            return try response(Problem(500, "Internal error", "the peer's own fault; its log says more"))
        }
    }

    private func response(_ problem: Problem) throws -> Response {
        let document = Document(status: problem.status, title: problem.title, detail: problem.detail)
        var response = Response(json: try JSON.encode(document), status: problem.status, type: "application/problem+json")
        if let seconds = problem.retryAfter { response.headers[.retryAfter] = String(seconds) }
        return response
    }
}
