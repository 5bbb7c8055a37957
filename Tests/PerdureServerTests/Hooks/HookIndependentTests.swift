import Foundation
import Perdure
import PerdureHistory
import Testing

@testable import PerdureServer

/// Our signatures beside those of the authors of Standard Webhooks, in Python.
@Suite(.timeLimit(.minutes(5))) struct HookIndependentTests {
    private static let isSkipped = ProcessInfo.processInfo.environment["PERDURE_SKIP_INDEPENDENT"] == "1"
    private static let tests = URL(filePath: #filePath).deletingLastPathComponent()
    private static let root = tests.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static func ask(_ wish: JSONValue) throws -> JSONValue {
        let process = Process(), input = Pipe(), output = Pipe()
        // The one that Scripts/prepare.sh has made. The link is not followed: it is what the packages are found by.
        process.executableURL = root.appending(path: ".build-tools/webhooks/bin/python3")
        process.arguments = [tests.appending(path: "webhooks.py").path]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(wish.canonicalBytes))
        try input.fileHandleForWriting.close()
        let answer = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return try JSONValue.parse(Array(answer), what: "what webhooks.py says")
    }

    @Test(.disabled(if: isSkipped, "PERDURE_SKIP_INDEPENDENT=1 leaves out what is compared with packages of Python"))
    func `what we send others verify, and what others sign we verify`() async throws {
        try await receiving { receiver in
            try await atDesk { desk in
                let made = try await desk.ask("makeEndpoint", ["url": .string(receiver.address), "events": ["run.closed"]])
                let id = try #require(made.json["id"]), secret = try #require(made.json["secret"])
                #expect(try await desk.ask("testEndpoint", ["endpoint": id]).status == 202)
                await receiver.until(1)
                let heard = try #require(receiver.heard.first), names = ["webhook-id", "webhook-timestamp", "webhook-signature"]
                let headers = JSONValue.object(JSONObject(names.map { ($0, .string(heard.field($0))) }))
                let body = String(decoding: heard.body, as: UTF8.self)
                func verify(_ body: String) throws -> JSONValue {
                    try Self.ask(["do": "verify", "secret": secret, "headers": headers, "body": .string(body)])
                }
                let good = try verify(body), bad = try verify(body + " ")
                #expect(good == ["good": true] && bad == ["good": false])
                let own = try #require(HookSecret(secret.stringValue ?? "")), text = "{\"text\": \"näher\"}"
                let signed = try Self.ask([
                    "do": "sign", "secret": secret, "id": "msg_1", "time": 1_700_000_000, "body": .string(text),
                ])
                let signature = try #require(signed["signature"]?.stringValue)
                #expect(
                    signature == WebhookSignature.field(id: "msg_1", time: 1_700_000_000, body: Array(text.utf8), secrets: [own]))
            }
        }
    }
}
