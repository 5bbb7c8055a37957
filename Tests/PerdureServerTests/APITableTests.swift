import AsyncHTTPClient
import Foundation
import HTTPTypes
import NIOHTTP1
import Perdure
import PerdureHistory
import Testing

@testable import PerdureServer

/// The table of operations, and what is refused before an operation is asked.
@Suite(.timeLimit(.minutes(5))) struct APITableTests {
    @Test func `operations have names of their own, and places of their own`() {
        let all = PerdureServer.Operation.all
        #expect(Set(all.map(\.id)).count == all.count)
        #expect(Set(all.map { "\($0.method.rawValue) \($0.path)" }).count == all.count)
        for operation in all {
            #expect(operation.summary.hasSuffix(".") && !operation.successes.isEmpty, "\(operation.id)")
            #expect(
                operation.right != .none || operation.method == .get || operation.isSigned,
                "\(operation.id) changes something for everybody")
            #expect((operation.body != nil) == (operation.method == .post), "\(operation.id)")
        }
    }

    @Test func `every code that a call can throw has its status`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let pages = try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "docs/errors").path)
        // What no call of a client throws, or what is the server's own fault.
        let internalCodes: Set = [
            "configuration_invalid", "context_misused", "foreign_wait", "history_file_invalid", "history_file_too_new",
            "history_mismatch", "name_taken", "output_unwritable", "owner_missing", "run_cancelled", "run_failed",
            "run_terminated",
            "step_duplicate", "store_corrupt", "store_not_ours", "store_too_new", "workflow_duplicate",
        ]
        for page in pages where page.hasSuffix(".md") && page != "README.md" {
            let code = String(page.dropLast(3)), status = Problem.status(PerdureError.Code(rawValue: code))
            #expect((status == .internalServerError) == internalCodes.contains(code), "\(code): \(status)")
        }
    }

    @Test func `another method is refused with those that there are`() async throws {
        try await atDesk { desk in
            for method in ["DELETE", "PATCH", "PUT", "OPTIONS", "TRACE", "QUERY"] {
                var request = HTTPClientRequest(url: desk.address + "/v1/namespaces/default/runs")
                request.method = .RAW(value: method)
                let reply = try await desk.send(request)
                #expect(reply.status == 405 && reply.headers.first(name: "allow") == "GET, HEAD, POST", "\(method)")
            }
            let unknown = try await desk.send(HTTPClientRequest(url: desk.address + "/v2"))
            #expect(unknown.status == 404 && unknown.code == "address_unknown")
        }
    }

    @Test func `HEAD has the head of GET and no body, so that the connection can be used again`() async throws {
        try await atDesk { desk in
            for path in ["/v1/namespaces/default/runs", "/openapi.json", "/nowhere", "/v1/namespaces/default/runs/x/cancel"] {
                var head = HTTPClientRequest(url: desk.address + path)
                head.method = .HEAD
                let get = try await desk.send(HTTPClientRequest(url: desk.address + path))
                let reply = try await desk.send(head)
                #expect(reply.status == get.status && reply.json == .null, "\(path)")
                // Over the connection that the answer above came on.
                #expect(try await desk.send(HTTPClientRequest(url: desk.address + path)).json == get.json, "\(path)")
            }
        }
    }

    @Test func `a body of very many flaws gets a short answer`() async throws {
        try await atDesk { desk in
            var request = HTTPClientRequest(url: desk.address + "/v1/namespaces/default/runs")
            request.method = .POST
            request.headers = ["content-type": "application/json", "idempotency-key": #""k""#]
            let members = (0..<100_000).map { "\"m\($0)\":1" }.joined(separator: ",")
            let name = String(repeating: "x", count: 1 << 20)
            request.body = .bytes(Array("{\"\(name)\":1,\(members)}".utf8))
            let reply = try await desk.send(request)
            #expect(reply.status == 400 && reply.json["errors"]?.arrayValue?.count == 10)
            #expect(reply.json.canonicalBytes.count < 20_000)
        }
    }

    @Test func `a request that cannot be is refused with what is wrong, where`() async throws {
        try await atDesk { desk in
            let runs = desk.address + "/v1/namespaces/default/runs"
            func post(_ body: String, _ headers: [(String, String)]) async throws -> APIDesk.Reply {
                var request = HTTPClientRequest(url: runs)
                request.method = .POST
                request.headers = HTTPHeaders(headers)
                request.body = .bytes(Array(body.utf8))
                return try await desk.send(request)
            }
            let json = ("content-type", "application/json"), key = ("idempotency-key", #""k""#)
            let good = #"{"workflow":"greet","input":"x"}"#
            #expect(try await post(good, [key]).code == "media_type_unsupported")
            #expect(try await post(good, [("content-type", "text/plain"), key]).status == 415)
            #expect(try await post(good, [json]).code == "idempotency_key_missing")
            for wrong in ["k", #"""#, #""""#, #""a\b""#, "\"\(String(repeating: "x", count: 129))\""] {
                #expect(try await post(good, [json, ("idempotency-key", wrong)]).code == "idempotency_key_invalid", "\(wrong)")
            }
            #expect(try await post(good, [json, key, key]).code == "idempotency_key_invalid")
            let broken = try await post("{", [json, key])
            #expect(broken.code == "body_invalid" && broken.json["detail"]?.stringValue?.contains("byte") == true)
            let flawed = try await post(#"{"workflow":"a b","inptu":1,"labels":{"x":1}}"#, [json, key])
            let places = flawed.json["errors"]?.arrayValue?.compactMap { $0["pointer"]?.stringValue }
            #expect(flawed.status == 400 && places == ["/workflow", "/labels/x", "/inptu"])
            let large = try await post("\"\(String(repeating: "x", count: 9 << 20))\"", [json, key])
            #expect(large.status == 413)
            for query in ["limit=0", "limit=1&limit=2", "limt=1", "limit=%FF", "state=asleep", "limit=+1"] {
                let reply = try await desk.send(HTTPClientRequest(url: "\(runs)?\(query)"))
                #expect(reply.status == 400 && reply.code == "query_invalid", "\(query)")
            }
            #expect(try await desk.send(HTTPClientRequest(url: "\(runs)/nonsense")).code == "path_invalid")
            #expect(try await desk.ask("listRuns").json == ["runs": []])
        }
    }

    @Test func `a page of another site is not trusted, whatever name it gives to this machine`() async throws {
        try await atDesk { desk in
            func code(_ headers: [(String, String)]) async throws -> String? {
                var request = HTTPClientRequest(url: desk.address + "/v1/namespaces/default/runs")
                request.headers = HTTPHeaders(headers)
                return try await desk.send(request).code
            }
            let cases: [([(String, String)], String?)] = [
                ([("host", "evil.example")], "host_refused"), ([("host", "127.0.0.1.evil.example:7434")], "host_refused"),
                ([("origin", "http://evil.example")], "origin_refused"), ([("sec-fetch-site", "cross-site")], "origin_refused"),
                ([("sec-fetch-site", "same-site")], "origin_refused"), ([("host", "localhost:1")], nil),
                ([("origin", desk.address), ("sec-fetch-site", "same-origin")], nil),
                ([("perdure-as", String(repeating: "x", count: 300))], "name_invalid"),
            ]
            for (headers, expected) in cases {
                let found = try await code(headers)
                #expect(found == expected, "\(headers)")
            }
        }
    }

    @Test func `the description has every operation, and every shape it speaks of`() async throws {
        try await atDesk { desk in
            let document = try await desk.ask("getDescription").json
            #expect(document["openapi"] == "3.1.0")
            let paths = try #require(document["paths"]?.objectValue)
            let described = paths.members.flatMap { path in
                (path.value.objectValue?.keys ?? []).map { "\($0.uppercased()) \(path.key)" }
            }
            #expect(Set(described) == Set(PerdureServer.Operation.all.map { "\($0.method.rawValue) \($0.path)" }))
            let known = Set(document["components"]?["schemas"]?.objectValue?.keys ?? [])
            let named = document.canonicalText.matches(of: #/"#\/components\/schemas\/(\w+)"/#).map { String($0.output.1) }
            #expect(Set(named) == known)
        }
    }
}
