import AsyncHTTPClient
import Foundation
import HTTPTypes
import NIOHTTP1
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureServer

/// Rights, walked through completely: every role at every address.
@Suite(.timeLimit(.minutes(10))) struct RightsTests {
    /// As docs/identity.md has it. Written down a second time, so that a slip in the code is seen.
    private static let table: [String: Set<Right>] = [
        "viewer": [.view],
        "starter": [.view, .start],
        "operator": [.view, .start, .operate],
        "approver": [.view, .approve],
        "approver:finance": [.view, .approve],
        "auditor": [.view, .audit],
        "admin": [.view, .start, .operate, .audit, .administer],
    ]

    private static let run = "01a20800-0000-7000-8000-000000000000"

    private static func address(_ path: String, in namespace: String) -> String {
        var path = path.replacing("{namespace}", with: namespace).replacing("{run}", with: run)
        while let open = path.firstIndex(of: "{"), let close = path.firstIndex(of: "}") {
            path.replaceSubrange(open...close, with: "x")
        }
        return path
    }

    @Test func `a role may what the table says`() throws {
        for (name, rights) in Self.table {
            let role = try #require(Role(name))
            #expect(role.rights == rights && role.description == name, "\(name)")
        }
        #expect(Role("root") == nil && Role("approver:") == nil && Role("Viewer") == nil)
    }

    // Promises: 23, 24
    @Test(arguments: table.keys.sorted()) func `every operation is open to whom the table names, and to nobody else`(role: String)
        async throws
    {
        let rights = try #require(Self.table[role])
        try await atControl { desk, _ in
            let here = try await desk.token([role]), everywhere = try await desk.token([role], in: "*")
            // What is signed takes no rights but those of its hook.
            for operation in PerdureServer.Operation.all where !operation.isSigned {
                let isNamed = operation.path.contains("{namespace}")
                for (token, namespace, isGiven) in [
                    (here, "default", isNamed), (here, "other", false), (everywhere, "default", true),
                    (everywhere, "other", true),
                ] {
                    let reply = try await desk.ask(
                        operation.method == .get ? .GET : .POST, Self.address(operation.path, in: namespace), by: .bearer(token),
                        json: operation.body == nil ? nil : [:])
                    let isAllowed = [.none, .known].contains(operation.right) || isGiven && rights.contains(operation.right)
                    #expect(
                        (reply.code == "right_missing") == !isAllowed && reply.status != 401,
                        "\(role) at \(operation.id) in \(namespace): \(reply.status) \(reply.text.prefix(200))")
                }
            }
        }
    }

    @Test(arguments: table.keys.sorted()) func `every page is open to whom the table names, and to nobody else`(role: String)
        async throws
    {
        let rights = try #require(Self.table[role])
        try await atControl { desk, _ in
            let session = try await desk.session(try await desk.token([role]))
            for route in PageRoute.all where route.path != PageRoute.actAs {
                for namespace in ["default", "other"] {
                    let reply = try await desk.ask(
                        route.method == .get ? .GET : .POST, Self.address("/namespaces/{namespace}\(route.path)", in: namespace),
                        by: .session(session), form: route.method == .get ? nil : [:])
                    let isAllowed = namespace == "default" && rights.contains(route.right) && !route.isEverywhere
                    #expect(
                        reply.text.contains("right_missing") == !isAllowed,
                        "\(role) at \(route.method.rawValue) \(route.path) in \(namespace): \(reply.status)")
                    // Whoever may still has to send a form of ours.
                    if route.method == .post, isAllowed { #expect(reply.text.contains("form_outdated")) }
                }
            }
        }
    }

    @Test func `without saying who asks nothing is answered but what is for everybody`() async throws {
        try await atControl { desk, _ in
            for operation in PerdureServer.Operation.all {
                let reply = try await desk.ask(
                    operation.method == .get ? .GET : .POST, Self.address(operation.path, in: "default"),
                    json: operation.body == nil ? nil : [:])
                let isRefused = operation.right != .none || operation.isSigned
                #expect((reply.status == 401) == isRefused, "\(operation.id): \(reply.status)")
                if reply.status == 401, !operation.isSigned {
                    #expect(reply.headers.first(name: "www-authenticate") == "Bearer realm=\"perdure\"")
                }
            }
            for route in PageRoute.all {
                let method: HTTPMethod = route.method == .get ? .GET : .POST
                let reply = try await desk.ask(
                    method, Self.address("/namespaces/{namespace}\(route.path)", in: "default"),
                    form: method == .GET ? nil : [:])
                if route.path == PageRoute.actAs {
                    #expect(reply.status == 404)
                } else if method == .GET {
                    #expect(reply.status == 303 && reply.location?.hasPrefix("/sign-in?to=") == true, "\(route.path)")
                } else {
                    #expect(reply.status == 401, "\(route.path)")
                }
            }
        }
    }

    @Test func `an attempt without the right to it is recorded, and counted in place of repeated`() async throws {
        try await atControl { desk, _ in
            let viewer = try await desk.token(["viewer"], as: "looker"), auditor = try await desk.token(["auditor"])
            for _ in 0..<3 {
                let reply = try await desk.ask(
                    .POST, "/v1/namespaces/default/runs/\(Self.run)/terminate", by: .bearer(viewer), json: [:])
                #expect(reply.status == 403)
                // Where somebody has no right at all nothing but one row a minute comes of it.
                #expect(try await desk.ask(.GET, "/v1/namespaces/\(UUID())/runs", by: .bearer(viewer)).status == 403)
            }
            let foreign = try await desk.client.store.controls(.all(kind: Refusals.kind, after: "*/", limit: 10))
                .filter { $0.key.key.hasPrefix("*/") }
            #expect((1...2).contains(foreign.count))
            let session = try await desk.session(viewer)
            let page = try await desk.ask(
                .POST, "/namespaces/default/runs/\(Self.run)/terminate", by: .session(session), form: [:])
            #expect(page.status == 403)
            let listed = try await desk.ask(.GET, "/v1/namespaces/default/refusals", by: .bearer(auditor))
            let refusals = try #require(listed.json["refusals"]?.arrayValue)
            let counts = refusals.filter { $0["operation"] == "terminateRun" }.compactMap { $0["times"]?.integerValue }
            // The minute may have changed between them.
            #expect(counts.reduce(0, +) == 3 && refusals.contains { $0["operation"] == "POST /runs/{run}/terminate" })
            for refusal in refusals {
                #expect(
                    refusal["by"]?.stringValue == "workload token:default/looker" && refusal["subject"]?.stringValue == Self.run)
                #expect(refusal["authentication"]?.stringValue == "API token, issued by tests")
            }
        }
    }
}
