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

/// Sessions of the page, and what a page of another site cannot do with them.
@Suite(.timeLimit(.minutes(5))) struct SessionTests {
    @Test func `whoever signs in is shown the page until they sign out`() async throws {
        try await atControl { desk, _ in
            let asked = try await desk.ask(.GET, "/namespaces/default/runs?state=failed")
            #expect(asked.status == 303 && asked.location == "/sign-in?to=%2Fnamespaces%2Fdefault%2Fruns%3Fstate%3Dfailed")
            let form = try await desk.ask(.GET, try #require(asked.location))
            #expect(form.status == 200 && form.text.contains("name=\"to\" value=\"/namespaces/default/runs?state=failed\""))
            let wrong = try await desk.ask(.POST, "/sign-in/token", form: ["token": "perdure_no", "to": "/x"])
            #expect(
                wrong.status == 401 && wrong.text.contains("no token of this server")
                    && wrong.cookie(IdentityGate.sessionCookie) == nil)
            let token = try await desk.token(["operator"])
            let signed = try await desk.ask(.POST, "/sign-in/token", form: ["token": token, "to": "/namespaces/default/runs"])
            #expect(signed.status == 303 && signed.location == "/namespaces/default/runs")
            let cookie = try #require(signed.headers["set-cookie"].first)
            for word in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] { #expect(cookie.contains(word)) }
            #expect(!cookie.contains("Domain"))
            let session = try #require(signed.cookie(IdentityGate.sessionCookie))
            let page = try await desk.ask(.GET, "/namespaces/default", by: .session(session))
            #expect(page.status == 200 && page.text.contains("Sign out") && !page.text.contains("Act as"))
            #expect(try await desk.ask(.GET, "/", by: .session(session)).location == "/namespaces/default")
            let mark = try #require(page.text.firstMatch(of: #/name="guard" value="([^"]*)"/#)).output.1
            let out = try await desk.ask(.POST, "/sign-out", by: .session(session), form: ["guard": String(mark)])
            #expect(out.status == 303 && out.headers["set-cookie"].first?.contains("Max-Age=0") == true)
            #expect(try await desk.ask(.GET, "/namespaces/default", by: .session(session)).status == 303)
        }
    }

    @Test func `the store has no secret of a session, and one that is over is none`() async throws {
        try await atControl { desk, _ in
            let session = try await desk.session(try await desk.token(["viewer"]))
            let rows = try await desk.client.store.controls(.all(kind: Sessions.kind, after: nil, limit: 10))
            let row = try #require(rows.first)
            #expect(rows.count == 1 && row.due != nil)
            #expect(!row.key.key.contains(session) && !String(decoding: row.value, as: UTF8.self).contains(session))
            let late = Sessions(client: desk.client) { Timestamp(Date(timeIntervalSinceNow: 13 * 3_600)) }
            #expect(try await late.find(session) == nil)
            for wrong in ["", "x", String(session.dropLast()), session + "A", "%%%"] {
                #expect(try await desk.ask(.GET, "/namespaces/default", by: .session(wrong)).status == 303, "\(wrong)")
            }
        }
    }

    @Test func `a page of another site can neither sign somebody in nor do anything in their name`() async throws {
        try await atControl { desk, _ in
            let token = try await desk.token(["operator"]), session = try await desk.session(token)
            let page = try await desk.ask(.GET, "/namespaces/default", by: .session(session))
            let mark = String(try #require(page.text.firstMatch(of: #/name="guard" value="([^"]*)"/#)).output.1)
            let run = try await desk.start("wait", "x", by: .bearer(token))
            let path = "/namespaces/default/runs/\(run)/cancel", form = ["guard": mark, "once": "1"]
            for foreign in [
                [("origin", "https://evil.example")], [("origin", "null")],
                [("origin", desk.address), ("sec-fetch-site", "cross-site")],
                [("origin", desk.address), ("sec-fetch-site", "same-site")],
                [("origin", desk.address + ".evil.example")],
            ] {
                let deed = try await desk.ask(.POST, path, by: .session(session), form: form, headers: foreign)
                #expect(deed.status == 403 && deed.text.contains("origin_refused"), "\(foreign)")
                let signIn = try await desk.ask(.POST, "/sign-in/token", form: ["token": token], headers: foreign)
                #expect(signIn.status == 403 && signIn.cookie(IdentityGate.sessionCookie) == nil, "\(foreign)")
            }
            // Without the mark, or with that of somebody else, it is no form of ours either.
            let other = try await desk.session(try await desk.token(["operator"]))
            for (who, fields) in [(session, ["once": "1"]), (other, form)] {
                let deed = try await desk.ask(.POST, path, by: .session(who), form: fields)
                #expect(deed.status == 403 && deed.text.contains("form_outdated"))
            }
            #expect(try await desk.client.run(run).isClosed == false)
            #expect(try await desk.ask(.POST, path, by: .session(session), form: form).status == 303)
            try await desk.client.wait { try await $0.run(run).isClosed }
        }
    }

    @Test func `a session reads through the API, which the page's script does, and changes nothing there`() async throws {
        try await atControl { desk, _ in
            let session = try await desk.session(try await desk.token(["operator"]))
            let read = try await desk.ask(
                .GET, "/v1/namespaces/default/runs", by: .session(session), headers: [("sec-fetch-site", "same-origin")])
            #expect(read.status == 200)
            let foreign = try await desk.ask(
                .GET, "/v1/namespaces/default/runs", by: .session(session),
                headers: [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")])
            #expect(foreign.status == 403)
            let write = try await desk.ask(
                .POST, "/v1/namespaces/default/runs", by: .session(session), json: ["workflow": "wait", "input": "x"],
                headers: [("origin", desk.address), ("sec-fetch-site", "same-origin")])
            #expect(write.status == 401)
        }
    }

    @Test func `nobody is sent elsewhere by a link to the sign-in`() {
        for wrong in ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "", "/a\nb", "/a b", "/ä"] {
            #expect(SignIn.target(wrong) == "/", "\(wrong)")
        }
        #expect(SignIn.target("/namespaces/default/runs?state=failed") == "/namespaces/default/runs?state=failed")
        #expect(SignIn.target(nil) == "/")
    }

    @Test func `a name that somebody has made to lead here is not answered`() async throws {
        try await atControl { desk, _ in
            for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example"] {
                for path in ["/v1/me", "/namespaces/default"] {
                    let reply = try await desk.ask(.GET, path, headers: [("host", host)])
                    #expect(reply.status == 421, "\(host) \(path)")
                }
            }
        }
    }

    @Test func `so many requests a second of one caller are answered`() async throws {
        let limit = RateLimit(perSecond: 10)
        var now = Timestamp(microseconds: 1_000_000)
        for _ in 0..<20 { #expect(limit.take("ada", at: now) == nil) }
        #expect(limit.take("ada", at: now) != nil && limit.take("bob", at: now) == nil)
        now = now + .milliseconds(100)
        #expect(limit.take("ada", at: now) == nil && limit.take("ada", at: now) != nil)
        try await atControl(settings: { _ in ["api.rate": "1"] }) { desk, _ in
            let token = try await desk.token(["viewer"])
            var refused: ControlDesk.Reply?
            for _ in 0..<100 where refused == nil {
                let reply = try await desk.ask(.GET, "/v1/me", by: .bearer(token))
                if reply.status == 429 { refused = reply }
            }
            #expect(refused?.code == "rate_exceeded" && refused?.headers.first(name: "retry-after") != nil)
        }
    }
}
