import Foundation
import PerdureHistory
import PerdureProcess
import PerdureTelemetry
import Synchronization

/// `Receiver/receiver.py`: another implementation of OTLP, in a process of its own.
final class ReceiverProcess: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// One request that has come.
    struct Request: Sendable {
        let json: JSONValue
        var signal: String? { json["signal"]?.stringValue }
        var transport: String? { json["transport"]?.stringValue }
        var size: Int64 { json["size"]?.integerValue ?? 0 }

        /// The spans, metrics or log records.
        var items: [JSONValue] {
            let (resources, scopes, items) = Self.names[signal ?? ""] ?? ("", "", "")
            return json["request"]?[resources]?[0]?[scopes]?[0]?[items]?.arrayValue ?? []
        }

        var resource: [String: JSONValue] {
            let (resources, _, _) = Self.names[signal ?? ""] ?? ("", "", "")
            return attributes(json["request"]?[resources]?[0]?["resource"])
        }

        private static let names = [
            "traces": ("resource_spans", "scope_spans", "spans"), "metrics": ("resource_metrics", "scope_metrics", "metrics"),
            "logs": ("resource_logs", "scope_logs", "log_records"),
        ]
    }

    static let isSkipped = ProcessInfo.processInfo.environment["PERDURE_SKIP_INDEPENDENT"] == "1"
    static let skipReason = "PERDURE_SKIP_INDEPENDENT=1 leaves out what is compared with packages of Python"

    let httpPort: Int64
    let grpcPort: Int64
    private let process: LineProcess
    /// What came while a command was carried out.
    private let early = Mutex<[Request]>([])

    private static let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    static let folder = tests.appending(path: "Receiver")
    /// The one that Scripts/prepare.sh has made. The link is not followed: it is what the packages are found by.
    static let python =
        tests.deletingLastPathComponent().deletingLastPathComponent().path
        + "/.build-tools/telemetry/bin/python3"

    init() async throws {
        process = try LineProcess(executable: Self.python, [Self.folder.appending(path: "receiver.py").path])
        let ports = try await Self.line(of: process)
        guard let http = ports["http"]?.integerValue, let grpc = ports["grpc"]?.integerValue else {
            throw Failure(description: "receiver.py did not come up: 'Scripts/prepare.sh test' gets what it needs")
        }
        (httpPort, grpcPort) = (http, grpc)
    }

    deinit { process.kill() }

    private static func line(of process: LineProcess) async throws -> JSONValue {
        guard let line = await process.lines.first(where: { _ in true }) else {
            throw Failure(description: "receiver.py has ended")
        }
        return try JSONValue.parse(Array(line), what: "a line of receiver.py")
    }

    /// The next request that has come, or comes.
    func next() async throws -> Request {
        if let early = early.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return early }
        return Request(json: try await Self.line(of: process))
    }

    /// How one of the next requests is answered, after those that were said before.
    func answer(_ members: JSONValue) async throws {
        var command = members.objectValue ?? JSONObject()
        command["do"] = "answer"
        try await say(command)
    }

    /// Stops listening (`down`), or listens again (`up`).
    func turn(_ way: String) async throws { try await say(JSONObject([("do", .string(way))])) }

    private func say(_ command: JSONObject) async throws {
        process.say(JSONValue.object(command).canonicalText)
        while true {
            let line = try await Self.line(of: process)
            if line["done"] == command["do"] { return }
            early.withLock { $0.append(Request(json: line)) }
        }
    }

    func configuration(_ transport: OTLPConfiguration.Transport) -> OTLPConfiguration {
        let endpoints = TelemetrySignal.allCases.map { signal in
            let url = transport == .http ? "http://127.0.0.1:\(httpPort)\(signal.path)" : "http://127.0.0.1:\(grpcPort)"
            return (signal, OTLPConfiguration.Endpoint(transport, url, headers: ["x-key": "secret"]))
        }
        return OTLPConfiguration(
            endpoints: Dictionary(endpoints) { first, _ in first }, resource: [TelemetryAttribute("service.name", "shop")])
    }
}

extension JSONValue {
    subscript(index: Int) -> JSONValue? { arrayValue.flatMap { $0.indices.contains(index) ? $0[index] : nil } }
}

/// The attributes of something that was received, by their names.
func attributes(_ value: JSONValue?) -> [String: JSONValue] {
    let pairs = (value?["attributes"]?.arrayValue ?? []).compactMap { pair -> (String, JSONValue)? in
        guard let key = pair["key"]?.stringValue, let value = pair["value"]?.objectValue?.members.first?.value else { return nil }
        return (key, value)
    }
    return Dictionary(pairs) { first, _ in first }
}
