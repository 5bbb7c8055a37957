import AsyncHTTPClient
import Foundation
import Logging
import Perdure
import PerdureHistory
import Testing

@testable import PerdureServer

/// The file that says who may what.
@Suite struct AccessRulesTests {
    private func rules(_ text: String) throws -> AccessRules { try AccessRules(Array(text.utf8), path: "access.json") }

    @Test func `grants add up, for ids, beginnings of ids and groups`() throws {
        let rules = try rules(
            """
            {"issuers": [{"name": "corp", "issuer": "https://id.example", "audience": "perdure"}],
             "aliases": {"corp:1": "ada"},
             "grants": [
               {"to": ["ada", "group:corp:ops"], "in": ["a"], "roles": ["operator"]},
               {"to": ["spiffe://example/ci/*"], "in": ["a", "b"], "roles": ["starter"]},
               {"to": ["ada"], "in": ["*"], "roles": ["viewer", "approver:finance"]}]}
            """)
        let ada = rules.rights(of: rules.id("corp:1"), groups: [])
        #expect(ada.allow(.operate, in: "a") && !ada.allow(.operate, in: "b") && ada.allow(.view, in: nil))
        #expect(
            ada.mayDecide("role:finance", in: "z") && ada.mayDecide("anyone", in: "z") && !ada.mayDecide("role:sales", in: "z"))
        let ops = rules.rights(of: "corp:2", groups: ["corp:ops"])
        #expect(ops.allow(.operate, in: "a") && !ops.allow(.view, in: "b") && ops.visibleNamespaces == ["a"])
        #expect(rules.rights(of: "corp:2", groups: ["other:ops"]) == Rights([:]))
        #expect(rules.rights(of: "spiffe://example/ci/deploy", groups: []).allow(.start, in: "b"))
        #expect(rules.rights(of: "spiffe://example/ci", groups: []) == Rights([:]))
        // Nobody becomes a group by a name, nor somebody by a group.
        #expect(rules.rights(of: "group:corp:ops", groups: []) == Rights([:]))
        #expect(rules.rights(of: "corp:2", groups: ["ada"]) == Rights([:]))
    }

    @Test(arguments: [
        ("nonsense", "is not JSON"), ("[]", "'/'"), (#"{"grant": []}"#, "grant"),
        (#"{"grants": [{"to": ["a"], "in": ["*"], "roles": ["king"]}]}"#, "roles are viewer"),
        (#"{"grants": [{"to": ["a"], "in": ["a b"], "roles": ["viewer"]}]}"#, "no namespace"),
        (#"{"grants": [{"to": ["group:corp:x"], "in": ["a"], "roles": ["viewer"]}]}"#, "no issuer is named 'corp'"),
        (#"{"aliases": {"x": "y"}, "grants": [{"to": ["x"], "in": ["a"], "roles": ["viewer"]}]}"#, "goes by 'y'"),
        (#"{"aliases": {"x": "y", "y": "z"}}"#, "another alias"),
        (#"{"issuers": [{"name": "token", "issuer": "https://a", "audience": "b"}]}"#, "begins other ids"),
        (#"{"issuers": [{"name": "a", "issuer": "http://a.example", "audience": "b"}]}"#, "https URL"),
        (#"{"issuers": [{"name": "a", "issuer": "https://u@a.example", "audience": "b"}]}"#, "https URL"),
        (#"{"issuers": [{"name": "a", "issuer": "https://a", "audience": ""}]}"#, "is empty"),
        (
            #"{"issuers": [{"name": "a", "issuer": "https://a", "audience": "b"}, {"name": "a", "issuer": "https://a", "audience": "b"}]}"#,
            "another issuer's name"
        ),
        (
            #"{"issuers": [{"name": "a", "issuer": "https://a", "audience": "b", "sign_in": {"client_id": "c", "scopes": "email"}}]}"#,
            "'openid'"
        ),
        (
            #"{"issuers": [{"name": "a", "issuer": "https://a", "audience": "c", "sign_in": {"client_id": "c"}}]}"#,
            "has to differ from 'client_id'"
        ),
    ]) func `what cannot be is refused with its place`(text: String, said: String) {
        let error = #expect(throws: PerdureError.self) { _ = try rules(text) }
        #expect(error?.code == .configurationInvalid && error?.message.contains(said) == true, "\(error?.message ?? "")")
    }

    @Test func `a file that changes is taken in, and one that cannot be used changes nothing`() throws {
        let place = ControlPlace(folder: FileManager.default.temporaryDirectory.appending(path: "perdure-access-\(UUID())"))
        try FileManager.default.createDirectory(at: place.folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: place.folder) }
        func grant(_ role: String) -> String { #"{"grants": [{"to": ["ada"], "in": ["a"], "roles": ["\#(role)"]}]}"# }
        let path = try place.write("access.json", grant("viewer"))
        let access = try Access(
            path: path, http: .shared, now: { Timestamp(Date()) }, logger: Logger(label: "t") { _ in SwiftLogNoOpLogHandler() })
        func mayOperate() -> Bool { access.rules.rights(of: "ada", groups: []).allow(.operate, in: "a") }
        func mayView() -> Bool { access.rules.rights(of: "ada", groups: []).allow(.view, in: "a") }
        #expect(mayView() && !mayOperate())
        try place.write("access.json", grant("operator"))
        access.reload()
        #expect(mayOperate())
        for broken in ["", "nonsense", grant("king")] {
            try place.write("access.json", broken)
            access.reload()
            #expect(mayOperate(), "\(broken)")
        }
        try FileManager.default.removeItem(atPath: path)
        access.reload()
        #expect(mayOperate())
        try place.write("access.json", #"{"grants": []}"#)
        access.reload()
        #expect(!mayView())
        #expect(throws: PerdureError.self) {
            _ = try Access(
                path: place.file("nowhere"), http: .shared, now: { Timestamp(Date()) },
                logger: Logger(label: "t") { _ in SwiftLogNoOpLogHandler() })
        }
    }
}
