import AsyncHTTPClient
import Foundation
import HTTPTypes
import Logging
import NIOCore
import NIOHTTP1
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import ServiceLifecycle
import Testing

@testable import PerdureServer

/// An engine and the HTTP API over it, as `perdure dev` has them. Every answer is compared with what the description says of it.
struct APIDesk: Sendable {
    struct Reply: Sendable {
        let status: Int
        let json: JSONValue
        let headers: HTTPHeaders
        var code: String? { json["code"]?.stringValue }
    }

    let client: Client
    let address: String

    /// Asks for an operation. What comes with it is taken from `members` by name: first what the path names, the rest is the query, or the
    /// body where there is one.
    func ask(
        _ id: String, _ members: JSONObject = [:], key: String = UUID().uuidString, as name: String? = nil
    ) async throws -> Reply {
        let operation = try #require(PerdureServer.Operation.all.first { $0.id == id }, "there is no operation '\(id)'")
        var rest = members, path = operation.path
        for (name, _) in operation.pathParameters {
            let value = name == "namespace" && members[name] == nil ? "default" : members[name]?.stringValue ?? ""
            path = path.replacing("{\(name)}", with: value)
            rest[name] = nil
        }
        var request = HTTPClientRequest(url: address + path)
        request.method = .RAW(value: operation.method.rawValue)
        if operation.body != nil {
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(JSONValue.object(rest).canonicalBytes)
        } else if !rest.isEmpty {
            request.url += "?" + rest.members.flatMap(Self.pairs).joined(separator: "&")
        }
        if operation.needsKey { request.headers.add(name: "idempotency-key", value: "\"\(key)\"") }
        if let name { request.headers.add(name: "perdure-as", value: name) }
        let reply = try await send(request)
        check(reply, operation)
        return reply
    }

    private static func pairs(_ member: JSONObject.Member) -> [String] {
        (member.value.arrayValue ?? [member.value]).map { value in
            let text = value.stringValue ?? value.canonicalText
            return "\(member.key)=\(text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "")"
        }
    }

    func send(_ request: HTTPClientRequest) async throws -> Reply {
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
        let body = try await response.body.collect(upTo: 64 << 20)
        let bytes = Array(body.readableBytesView)
        return Reply(
            status: Int(response.status.code), json: bytes.isEmpty ? .null : try JSONValue.parse(bytes, what: "an answer"),
            headers: response.headers)
    }

    /// What is answered is what the description has.
    private func check(_ reply: Reply, _ operation: PerdureServer.Operation) {
        let success = operation.successes.first { $0.status.code == reply.status }
        #expect(
            success != nil || operation.allRefusals.contains { $0.code == reply.status },
            "\(operation.id) answers \(reply.status), of which its description does not know: \(reply.json.canonicalText)")
        let type = success == nil ? "application/problem+json" : "application/json"
        #expect(reply.headers.first(name: "content-type") == type)
        let schema = success == nil ? Problem.schema : success?.schema
        let flaws = schema?.flaws(in: reply.json, isAnswer: true) ?? []
        #expect(flaws.isEmpty, "\(operation.id): \(flaws) in \(reply.json.canonicalText)")
    }

    // MARK: Runs

    /// Starts a run and gives its id.
    func start(_ workflow: String, _ input: JSONValue, _ more: JSONObject = [:], as name: String? = nil) async throws -> String {
        var body = more
        body["workflow"] = .string(workflow)
        body["input"] = input
        let reply = try await ask("startRun", body, as: name)
        return try #require(reply.json["run"]?.stringValue, "\(reply.json.canonicalText)")
    }

    func until(_ run: String, is state: String) async throws {
        let id = try #require(RunID(run))
        try await client.wait { try await $0.run(id).state == state }
    }
}

/// Serves a new store as long as the body works.
func atDesk(
    configure: (inout EngineConfiguration) -> Void = { _ in }, _ body: @Sendable @escaping (APIDesk) async throws -> Void
) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-api-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    var configuration = EngineConfiguration()
    configuration.build = "tests"
    configuration.verificationRate = 0
    configure(&configuration)
    let workflows = [
        RegisteredWorkflow(Greet()), RegisteredWorkflow(Wait()), RegisteredWorkflow(Errand()), RegisteredWorkflow(Counter()),
    ]
    let engine = try await Engine(store: .sqlite(folder.appending(path: "api.db").path), configuration: configuration) {
        workflows
    }
    let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
    let server = try LoopbackServer(
        client: engine.client, workflows: try WorkflowRegistry(workflows), port: 0, user: "tester",
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) { continuation.yield($0) }
    try await withThrowingTaskGroup { group in
        group.addTask { try await engine.run() }
        group.addTask { try await server.run() }
        var port: Int?
        for await listening in ports {
            port = listening
            break
        }
        let desk = APIDesk(client: engine.client, address: "http://127.0.0.1:\(try #require(port))")
        let result = await Result { try await body(desk) }
        group.cancelAll()
        try? await group.waitForAll()
        try result.get()
    }
}

/// Asks somebody, has an action approved, and fails where it is told to.
struct Errand: Workflow {
    static let name = "errand"
    static let version: WorkflowVersion = "1"
    static let owner = "tests"

    struct Order: Codable, Sendable {
        var item: String
        var fails = false
    }

    func run(_ order: Order, _ context: WorkflowContext) async throws -> String {
        if order.fails {
            return try await context.read("look", input: order.item, policy: .retry(.never)) { item, _ in
                if item != "found" { throw Missing(text: item) }
                return item
            }
        }
        let size = try await context.ask("size", "Which size?", as: String.self)
        try await context.act(
            "buy", input: order.item, .atMostOnce(inDoubt: .askPerson), approval: .required(by: .anyone, within: .days(1)),
            irreversible: "money"
        ) { _, _ in }
        return "\(size) \(order.item)"
    }
}

/// Counts what it is told, and goes on as another run after each time.
struct Counter: Workflow {
    static let name = "counter"
    static let version: WorkflowVersion = "1"

    func run(_ total: Int, _ context: WorkflowContext) async throws -> Int {
        let sum = try await context.update(Add.self) { total + $0 }
        try await context.continueAsNew(Counter.self, input: sum)
    }
}

enum Add: Update {
    typealias Payload = Int
    typealias Reply = Int
    static let name = "add"
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
