import Hummingbird
import Logging

/// Turns every error into an RFC 9457 problem.
struct ProblemMiddleware: RouterMiddleware {
    typealias Context = PeerContext

    @concurrent func handle(
        _ request: Request, context: PeerContext, next: @concurrent (Request, PeerContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let problem as Problem {
            return try Response(problem)
        } catch let error as HTTPError {
            return try Response(Problem(error.status.code, error.status.reasonPhrase, error.body ?? "no such route"))
        } catch is CancellationError {
            return try Response(Problem(503, "Service unavailable", "the peer is going down, or the caller has gone"))
        } catch {
            context.logger.error("a request failed", metadata: ["error": "\(error)"])
            return try Response(Problem(500, "Internal error", "the peer's own fault; its log says more"))
        }
    }
}
