import Foundation
import Logging
import Perdure
import PerdureHistory
import Testing

@testable import PerdureServer

@Suite struct SettingsTests {
    /// What the settings are with this file, or the error.
    private func settings(
        _ file: String? = nil, flags: [String: String] = [:], variables: [String: String] = [:]
    ) async throws -> Result<Settings, PerdureError> {
        try await withFolder { folder in
            let path = folder.appending(path: "perdure.json")
            if let file { try Data(file.utf8).write(to: path) }
            do {
                return .success(try Settings(flags: flags, variables: variables, file: file.map { _ in path.path }))
            } catch let error as PerdureError {
                return .failure(error)
            }
        }
    }

    private func refusal(_ file: String? = nil, flags: [String: String] = [:], variables: [String: String] = [:]) async throws
        -> PerdureError
    {
        do {
            let found = try await settings(file, flags: flags, variables: variables).get()
            _ = try ServeConfiguration(found)
        } catch let error as PerdureError {
            return error
        }
        throw Missing(text: "nothing was refused")
    }

    @Test func `a flag counts before the environment, that before the file, and that before what holds otherwise`() async throws {
        let file = #"{"node": "file", "log": {"level": "error"}, "verification": {"rate": 7, "round": "2h"}}"#
        let found = try await settings(
            file, flags: ["node": "flag"],
            variables: ["PERDURE_NODE": "variable", "PERDURE_VERIFICATION_RATE": "8", "PERDURE_LOG_LEVEL": ""]
        ).get()
        #expect(found[.node].value == .text("flag") && found[.node].origin == .flag("--node"))
        #expect(found[.verificationRate].value == .number(8))
        #expect(found[.verificationRate].origin == .variable("PERDURE_VERIFICATION_RATE"))
        #expect(found[.logLevel].value == .text("error"))
        #expect(found[.verificationRound].value == .span(.seconds(7_200), "2h"))
        #expect(found[.healthAddress].origin == .standard && found[.healthAddress].value == .text("127.0.0.1:7433"))
        #expect(found[.retentionClosed].value == nil)
    }

    @Test func `without any setting everything has what holds otherwise`() async throws {
        let configuration = try ServeConfiguration(try await settings().get())
        #expect(configuration.health == .standard && configuration.health.isLoopback)
        #expect(configuration.retention == nil && configuration.namespaces == nil)
        #expect(configuration.verificationRate == 1_000 && configuration.verificationRound == .seconds(86_400))
        #expect(configuration.shutdownPatience == .seconds(30) && configuration.logLevel == .info)
    }

    @Test(arguments: [
        (#"{"retention": {"close": "3d"}}"#, "retention.close", "Did you mean 'retention.closed'?"),
        (#"{"verification": {"rate": "7"}}"#, "verification.rate", "and is a text"),
        (#"{"verification": {"rate": 1.5}}"#, "verification.rate", "a whole number"),
        (#"{"health": {"exposed": 1}}"#, "health.exposed", "true or false"),
        (#"{"namespaces": ["a", 1]}"#, "namespaces", "a list of names"),
        (#"{"retention": {"closed": null}}"#, "retention.closed", "and is null"),
        (#"{"log": "debug"}"#, "log", "has to be an object"),
        (#"{"log": {"level": "loud"}}"#, "log.level", "one of trace"),
        (#"{"retention": {"closed": "0d"}}"#, "retention.closed", "a length of time"),
        (#"{"retention": {"closed": "3 weeks"}}"#, "retention.closed", "a length of time"),
        (#"{"node": "a", "node": "b"}"#, "node", "stands there twice"),
        (#"{"node": ""}"#, "node", "has to be a text"),
    ]) func `what stands wrong in the file is refused with key, line and what is right`(
        file: String, key: String, words: String
    ) async throws {
        let error = try await refusal("{\n" + file.dropFirst())
        #expect(error.code == .configurationInvalid && error.message.contains("'\(key)'"), "\(error)")
        #expect(error.message.contains(words) && error.message.contains("perdure.json:2"), "\(error)")
        #expect(error.metadata.contains { $0.name == "key" && $0.value == key })
    }

    @Test(arguments: ["", "[]", "{", "{} {}", "\"text\"", "\u{1}"]) func `a file that is no object is refused`(file: String)
        async throws
    {
        let error = try await refusal(file)
        #expect(error.code == .configurationInvalid && error.message.contains("perdure.json"))
    }

    @Test func `a file that is not there is refused`() throws {
        #expect(throws: PerdureError.self) { try Settings(flags: [:], variables: [:], file: "/nowhere/perdure.json") }
    }

    @Test(arguments: [
        ("PERDURE_VERIFICATION_RATE", "many"), ("PERDURE_VERIFICATION_RATE", "-1"), ("PERDURE_HEALTH_EXPOSED", "perhaps"),
        ("PERDURE_SHUTDOWN_PATIENCE", "30"), ("PERDURE_NAMESPACES", "a,b c"), ("PERDURE_HEALTH_ADDRESS", "127.0.0.1"),
        ("PERDURE_HEALTH_ADDRESS", "127.0.0.1:99999"), ("PERDURE_HEALTH_ADDRESS", "::1:80"), ("PERDURE_NODE", "a\u{7}b"),
    ]) func `what is wrong in the environment is refused with the variable`(variable: String, value: String) async throws {
        let error = try await refusal(variables: [variable: value])
        #expect(error.code == .configurationInvalid && error.message.contains(variable) && !error.message.contains("\u{7}"))
    }

    @Test(arguments: ["0.0.0.0:1", "[::]:1", "10.0.0.7:80", "example.org:80", "127.0.0.1.example.org:80"])
    func `an address that others can reach has to be allowed by a setting of its own`(address: String) async throws {
        let error = try await refusal(flags: ["health.address": address])
        #expect(error.message.contains("health.exposed"))
        let allowed = try await settings(flags: ["health.address": address, "health.exposed": "true"]).get()
        #expect(try ServeConfiguration(allowed).health.isLoopback == false)
    }

    @Test(arguments: ["127.0.0.1:1", "[::1]:0", "localhost:80", "127.9.9.9:80"])
    func `an address of this machine needs no such setting`(
        address: String
    ) async throws {
        #expect(
            try ServeConfiguration(try await settings(flags: ["health.address": address]).get()).health.description == address)
    }

    @Test func `no password is shown or told, wherever the address stands`() async throws {
        let address = "postgres://app:hush@a,b/perdure"
        for setting in Setting.all {
            for found in [
                try await settings(flags: [setting.key: address]), try await settings(variables: [setting.variable: address]),
                try await settings(file(setting, address)),
            ] {
                let told: String
                do {
                    let found = try found.get()
                    told = found.entries.map { "\($0.shown ?? "") \($0.json.canonicalText)" }.joined()
                    _ = try ServeConfiguration(found)
                } catch let error as PerdureError {
                    #expect(!error.description.contains("hush"))
                    continue
                }
                #expect(!told.contains("hush"), "\(setting.key)")
            }
        }
        #expect(try await settings(flags: ["store": address]).get()[.store].shown == "postgres://app@a,b/perdure")
    }

    private func file(_ setting: Setting, _ value: String) -> String {
        setting.path.reversed().reduce("\"\(value)\"") { "{\"\($1)\": \($0)}" }
    }

    @Test func `every setting is documented with its flag, its variable and what holds otherwise, and no other`() throws {
        let page = try String(contentsOf: repository.appending(path: "docs/configuration.md"), encoding: .utf8)
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { row in
            row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        #expect(rows.map(\.first) == Setting.all.map { "`\($0.key)`" })
        for (row, setting) in zip(rows, Setting.all) {
            #expect(row[1] == "`\(setting.flag)`" && row[2] == "`\(setting.variable)`", "\(setting.key)")
            #expect(row[3] == (setting.standard.map { "`\($0)`" } ?? "none"), "\(setting.key)")
        }
    }

    @Test func `every setting has its flag, and every flag is a setting`() async throws {
        for command in ["serve", "config"] {
            let help = try await Serving.type(command, "--help").output
            let flags = Set(help.matches(of: #/ (--[a-z-]+) </#).map { String($0.output.1) })
            #expect(flags == Set(Setting.all.map(\.flag) + [Setting.fileFlag]))
        }
    }

    private var repository: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }
}
