import AsyncHTTPClient
import Foundation
import HTTPTypes
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import ServiceLifecycle
import Testing

@testable import PerdureServer

/// An engine with a few workflows, and beside it the server that `perdure serve` is, which asks who one is.
struct ControlDesk: Sendable {
    struct Reply: Sendable {
        let status: Int
        let text: String
        let headers: HTTPHeaders
        var json: JSONValue { (try? JSONValue.parse(Array(text.utf8), what: "an answer")) ?? .null }
        var code: String? { json["code"]?.stringValue }
        var location: String? { headers.first(name: "location") }

        /// What it sets under this name.
        func cookie(_ name: String) -> String? {
            headers["set-cookie"].first { $0.hasPrefix("\(name)=") }.map {
                String($0.dropFirst(name.count + 1).prefix { $0 != ";" })
            }
        }
    }

    /// Shows who asks.
    enum Credential: Sendable {
        case none
        case bearer(String)
        case session(String)
    }

    let client: Client
    let address: String
    let http: HTTPClient
    var tokens: APITokens { APITokens(client: client) { Timestamp(Date()) } }

    /// Makes a token, and gives it as it is sent.
    func token(
        _ roles: [String], as name: String = "t-\(UUID())", in namespace: String = "default"
    ) async throws -> String {
        try await tokens.make(name: name, namespace: namespace, roles: roles, lifetime: .seconds(3_600), maker: "tests")
    }

    func ask(
        _ method: HTTPMethod, _ path: String, by credential: Credential = .none, json: JSONValue? = nil,
        form: [String: String]? = nil,
        headers: [(String, String)] = []
    ) async throws -> Reply {
        var request = HTTPClientRequest(url: path.hasPrefix("http") ? path : address + path)
        request.method = method
        switch credential {
        case .none: break
        case .bearer(let token): request.headers.add(name: "authorization", value: "Bearer \(token)")
        case .session(let secret): request.headers.add(name: "cookie", value: "\(IdentityGate.sessionCookie)=\(secret)")
        }
        if let json {
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(json.canonicalBytes)
            if !headers.contains(where: { $0.0 == "idempotency-key" }) {
                request.headers.add(name: "idempotency-key", value: "\"\(UUID())\"")
            }
        }
        if let form {
            let pairs = form.map { "\($0.key)=\($0.value.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "")" }
            request.headers.add(name: "content-type", value: "application/x-www-form-urlencoded")
            request.body = .bytes(Array(pairs.joined(separator: "&").utf8))
            if !headers.contains(where: { $0.0 == "origin" }) { request.headers.add(name: "origin", value: address) }
        }
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        let response = try await http.execute(request, timeout: .minutes(5))
        let body = try await response.body.collect(upTo: 64 << 20)
        return Reply(status: Int(response.status.code), text: String(buffer: body), headers: response.headers)
    }

    /// Signs in at the page with a token, and gives what the browser keeps.
    func session(_ token: String) async throws -> String {
        let reply = try await ask(.POST, "/sign-in/token", form: ["token": token, "to": "/"])
        return try #require(reply.cookie(IdentityGate.sessionCookie), "\(reply.status) \(reply.text)")
    }

    func start(_ workflow: String, _ input: JSONValue, by credential: Credential) async throws -> RunID {
        let reply = try await ask(
            .POST, "/v1/namespaces/default/runs", by: credential, json: ["workflow": .string(workflow), "input": input])
        return try #require(reply.json["run"]?.stringValue.flatMap(RunID.init), "\(reply.text)")
    }
}

/// What there is beside the server.
struct ControlPlace: Sendable {
    let folder: URL
    func file(_ name: String) -> String { folder.appending(path: name).path }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        try text.write(toFile: file(name), atomically: true, encoding: .utf8)
        return file(name)
    }
}

/// Serves a new store as long as the body works.
///
/// - Parameter settings: By flags without their dashes, such as `api-access`; made when the folder is there.
func atControl(
    settings: (ControlPlace) throws -> [String: String] = { _ in [:] }, http: (inout HTTPClient.Configuration) -> Void = { _ in },
    _ body: @Sendable @escaping (ControlDesk, ControlPlace) async throws -> Void
) async throws {
    let place = ControlPlace(folder: FileManager.default.temporaryDirectory.appending(path: "perdure-control-\(UUID())"))
    try FileManager.default.createDirectory(at: place.folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: place.folder) }
    let store = place.file("runs.db")
    let flags = ["store": store, "api.address": "127.0.0.1:0", "api.rate": "1000000"].merging(try settings(place)) { $1 }
    let configuration = try ServeConfiguration(Settings(flags: flags, variables: [:]))
    var engineConfiguration = EngineConfiguration()
    engineConfiguration.build = "tests"
    engineConfiguration.verificationRate = 0
    let engine = try await Engine(store: .sqlite(store), configuration: engineConfiguration) {
        [
            RegisteredWorkflow(Greet()), RegisteredWorkflow(Wait()), RegisteredWorkflow(Errand()), RegisteredWorkflow(Payment()),
        ]
    }
    let (addresses, continuation) = AsyncStream.makeStream(of: String.self)
    let server = try ControlServer(
        try #require(configuration.api), store: configuration.store,
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) { continuation.yield($0) }
    var clientConfiguration = HTTPClient.Configuration(redirectConfiguration: .disallow)
    http(&clientConfiguration)
    let browser = HTTPClient(eventLoopGroupProvider: .singleton, configuration: clientConfiguration)
    let result: Result<Void, any Error>
    do {
        try await withThrowingTaskGroup { group in
            group.addTask { try await engine.run() }
            group.addTask { try await server.run() }
            let address = try #require(await addresses.first { _ in true })
            do {
                try await body(ControlDesk(client: engine.client, address: address, http: browser), place)
            } catch {
                group.cancelAll()
                try? await group.waitForAll()
                throw error
            }
            group.cancelAll()
            try? await group.waitForAll()
        }
        result = .success(())
    } catch {
        result = .failure(error)
    }
    try await browser.shutdown()
    try result.get()
}

/// Pays once somebody of the finance department has approved.
struct Payment: Workflow {
    static let name = "payment"
    static let version: WorkflowVersion = "1"
    static let owner = "tests"

    func run(_ amount: Int, _ context: WorkflowContext) async throws -> Int {
        try await context.act(
            "pay", input: amount, .atMostOnce(inDoubt: .askPerson), approval: .required(by: .role("finance"), within: .days(1)),
            irreversible: "money"
        ) { _, _ in }
        return amount
    }
}
