import AsyncHTTPClient
import Foundation
import Mustache
import NIOCore
import NIOHTTP1
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import Testing

@testable import PerdureServer

/// The page as a browser without script has it. What needs one, `make browser` tries in a real one.
@Suite(.timeLimit(.minutes(5))) struct PageTests {
    private struct Answer {
        let status: Int
        let text: String
        let headers: HTTPHeaders

        /// What a form on it would send beside what is filled in.
        var hidden: [String: String] {
            let pairs = text.matches(of: #/<input type="hidden" name="([^"]*)" value="([^"]*)">/#)
                .map { (String($0.output.1), String($0.output.2)) }
            // The first form is the one with which somebody says who he is.
            return Dictionary(pairs) { _, last in last }
        }
    }

    private func get(_ desk: APIDesk, _ path: String, as name: String? = nil) async throws -> Answer {
        var request = HTTPClientRequest(url: "\(desk.address)/namespaces/default\(path)")
        request.headers.add(name: "accept", value: "text/html")
        if let name { request.headers.add(name: "perdure-as", value: name) }
        return try await send(request)
    }

    private func post(_ desk: APIDesk, _ path: String, _ fields: [String: String], as name: String? = nil) async throws -> Answer
    {
        var request = HTTPClientRequest(url: "\(desk.address)/namespaces/default\(path)")
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/x-www-form-urlencoded")
        if let name { request.headers.add(name: "perdure-as", value: name) }
        let pairs = fields.map { "\($0.key)=\($0.value.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "")" }
        request.body = .bytes(Array(pairs.joined(separator: "&").utf8))
        return try await send(request)
    }

    private func send(_ request: HTTPClientRequest) async throws -> Answer {
        let response = try await Self.browser.execute(request, timeout: .seconds(60))
        let body = try await response.body.collect(upTo: 64 << 20)
        return Answer(status: Int(response.status.code), text: String(buffer: body), headers: response.headers)
    }

    /// Tells of a redirection in place of following it. Lives as long as the process.
    private static let browser = HTTPClient(
        eventLoopGroupProvider: .singleton, configuration: .init(redirectConfiguration: .disallow))

    // Promise: 31
    @Test func `every page can be shown, with nothing in it that the policy of its content forbids`() async throws {
        try await atDesk { desk in
            let run = try await desk.start("errand", ["item": "<b>&\"lamp\u{301}\"", "fails": false])
            try await desk.client.wait { try await !$0.pendingQuestions().isEmpty }
            for route in PageRoute.all where route.method == .get {
                var path = route.path.replacing("{run}", with: run)
                if route.path == "/approvals/{run}" || route.path == "/stuck/{run}" { continue }
                if route.path == "/questions/{run}" { path += "?question=size" }
                if route.path.hasPrefix("/schedules/") { path += "?schedule=x" }
                let answer = try await get(desk, path)
                #expect(answer.status == 200, "\(path): \(answer.text)")
                #expect(answer.headers.first(name: "content-security-policy")?.contains("default-src 'none'") == true)
                #expect(answer.headers.first(name: "content-type") == "text/html; charset=utf-8")
                #expect(answer.text.contains("</html>") && answer.text.firstRange(of: #/<h1[ >]/#) != nil, "\(path)")
                let forbidden = answer.text.firstMatch(of: #/ style="| on[a-z]+="|<script>|javascript:/#)
                #expect(forbidden == nil, "\(path): \(forbidden.map { String($0.output) } ?? "")")
                #expect(!answer.text.contains("<b>&"), "\(path) shows a value as it is")
            }
        }
    }

    // Promise: 23, 31
    @Test func `an approval is decided by what was shown, and by nobody who started the run`() async throws {
        try await atDesk { desk in
            let run = try await desk.start("errand", ["item": "lamp", "fails": false], as: "ada")
            try await desk.client.wait { try await !$0.pendingQuestions().isEmpty }
            let question = try await get(desk, "/questions/\(run)?question=size", as: "bob")
            let flawed = try await post(
                desk, "/questions/\(run)/answer", question.hidden.merging(["answer": "{"]) { $1 }, as: "bob")
            #expect(flawed.status == 400 && flawed.text.contains("This is not JSON: at byte 1"))
            let answer = try await post(
                desk, "/questions/\(run)/answer", question.hidden.merging(["answer": "\"large\""]) { $1 }, as: "bob")
            #expect(answer.status == 303)
            try await desk.client.wait { try await !$0.pendingApprovals().isEmpty }

            let shown = try await get(desk, "/approvals/\(run)?step=buy", as: "ada")
            #expect(
                shown.text.contains("Cannot be taken back: money") && shown.text.contains("&quot;input&quot;: &quot;lamp&quot;"))
            #expect(shown.text.contains("You cannot approve this one") && !shown.text.contains(">Approve</button>"))
            let approval = shown.hidden.merging(["approve": "true"]) { $1 }
            let own = try await post(desk, "/approvals/\(run)/decide", approval, as: "ada")
            #expect(own.status == 403 && own.text.contains("approval_not_permitted"))
            // Her form is not his.
            #expect(try await post(desk, "/approvals/\(run)/decide", approval, as: "bob").text.contains("form_outdated"))
            let his = try await get(desk, "/approvals/\(run)?step=buy", as: "bob").hidden.merging(["approve": "true"]) { $1 }
            #expect(
                try await post(desk, "/approvals/\(run)/decide", his.merging(["approve": "yes"]) { $1 }, as: "bob").status == 400)
            let stale = his.merging(["digest": String(repeating: "f", count: 64)]) { $1 }
            let refused = try await post(desk, "/approvals/\(run)/decide", stale, as: "bob")
            #expect(refused.status == 303 && refused.headers.first(name: "location")?.hasSuffix("told=stale") == true)
            for _ in 0..<2 {
                // Sent twice it is one decision.
                #expect(try await post(desk, "/approvals/\(run)/decide", his, as: "bob").status == 303)
            }
            try await desk.until(run, is: "completed")
            let history = try await desk.ask("getHistory", ["run": .string(run), "limit": 500]).json["events"]?.arrayValue ?? []
            let decisions = history.filter { $0["kind"] == "approval.decided" }
            #expect(decisions.count == 1 && decisions.first?["attributes"]?["by"]?["id"] == "bob")
        }
    }

    @Test func `a form that is not ours is refused, and nothing is done`() async throws {
        try await atDesk { desk in
            let run = try await desk.start("wait", "x")
            let fields = try await get(desk, "/runs/\(run)/cancel").hidden
            #expect(fields["guard"]?.count == 64 && fields["once"] != nil)
            for wrong in [nil, "", "zz", String(repeating: "0", count: 64)] {
                var fields = fields
                fields["guard"] = wrong
                let answer = try await post(desk, "/runs/\(run)/cancel", fields)
                #expect(answer.status == 403 && answer.text.contains("form_outdated"))
            }
            var request = HTTPClientRequest(url: "\(desk.address)/namespaces/default/runs/\(run)/cancel")
            request.method = .POST
            request.headers = ["content-type": "application/x-www-form-urlencoded", "origin": "http://evil.example"]
            request.body = .bytes(Array("guard=\(fields["guard"] ?? "")&once=1".utf8))
            #expect(try await send(request).status == 403)
            request.headers = ["content-type": "application/json"]
            #expect(try await send(request).status == 415)
            #expect(try await desk.client.run(#require(RunID(run))).state == "waiting")
            #expect(try await post(desk, "/runs/\(run)/cancel", fields).status == 303)
            try await desk.until(run, is: "cancelled")
        }
    }

    @Test func `what is not there is told in words, in the frame of the page`() async throws {
        try await atDesk { desk in
            for path in [
                "/runs/x", "/runs/01a20800-0000-7000-8000-000000000000", "/nonsense",
                "/approvals/01a20800-0000-7000-8000-000000000000?step=x",
            ] {
                let answer = try await get(desk, path)
                #expect(answer.status == 404 && answer.text.contains("</nav>"), "\(path)")
            }
            #expect(try await get(desk, "/runs?state=%FF").status == 400)
            #expect(try await get(desk, "/start?workflow=unknown").status == 200)
            let start = try await get(desk, "/start?workflow=greet").hidden
            let refused = try await post(desk, "/start", start.merging(["input": "7"]) { $1 })
            #expect(refused.status == 400 && refused.text.contains("field-bad"))
            let begun = try await post(desk, "/start", start.merging(["input": "\"ada\""]) { $1 })
            let again = try await post(desk, "/start", start.merging(["input": "\"ada\""]) { $1 })
            #expect(begun.status == 303 && begun.headers.first(name: "location")?.contains("told=started") == true)
            #expect(again.headers.first(name: "location")?.contains("told=found") == true)
        }
    }

    @Test func `text is escaped by bytes, also before a combining mark`() throws {
        MustacheContentTypes.register(SafeText(), named: SafeText.name)
        let template = try MustacheTemplate(string: "{{% CONTENT_TYPE:\(SafeText.name)}}<a title=\"{{x}}\">{{x}}</a>")
        let text = "\"\u{301}onload='x' <\u{338}b>&\u{301}"
        #expect(
            template.render(["x": text])
                == "<a title=\"&quot;\u{301}onload=&#39;x&#39; &lt;\u{338}b&gt;&amp;\u{301}\">"
                + "&quot;\u{301}onload=&#39;x&#39; &lt;\u{338}b&gt;&amp;\u{301}</a>")
        // The characters of a text hide them.
        #expect(!text.contains("\"") && !text.contains("<"))
    }

    @Test func `what would be invisible in an approval is shown`() {
        let value: JSONValue = ["payee": "ada\u{202E}bob\u{200B}\u{E0041}"]
        #expect(JSONText.pretty(value) == "{\n  \"payee\": \"ada\\u202ebob\\u200b\\udb40\\udc41\"\n}")
    }

    @Test func `every file of the page is part of it`() throws {
        _ = try PageTemplates()
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
            .appending(path: "Sources/PerdureServer/Page/Web")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        let templates = files.filter { $0.hasSuffix(".mustache") }
        #expect(Set(templates.map { String($0.dropLast(9)) }) == Set(PageTemplates.files.keys))
        for name in templates {
            let text = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
            #expect(!text.contains("{{{") && !text.contains("{{&"), "\(name) writes something as it is")
            for partial in text.matches(of: #/\{\{> ([a-z-]+)\}\}/#) {
                #expect(PageTemplates.files[String(partial.output.1)] != nil, "\(name) wants \(partial.output.1)")
            }
        }
    }
}
