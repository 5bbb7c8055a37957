import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import PerdureHistory
import PerdureProcess
import Synchronization
import Testing

/// A `perdure serve` in a process of its own: what it says, and what its health page answers.
final class Serving: Sendable {
    private let process: LineProcess
    private let said = Mutex<[String]>([])
    /// Where its pages are, without a slash at the end.
    let address: String

    /// Starts it, and returns when its health page takes requests. What it logs stands among what it says.
    init(_ arguments: [String], variables: [String: String] = [:]) async throws {
        process = try Self.start(["serve", "--health-address", "127.0.0.1:0"] + arguments, variables)
        var address: String?
        for await line in process.lines {
            let text = String(decoding: line, as: UTF8.self)
            said.withLock { $0.append(text) }
            guard let match = text.firstMatch(of: #/Health at (http://\S+)/health\./#) else { continue }
            address = String(match.output.1)
            break
        }
        guard let address else { throw Missing(text: "it ended: \(said.withLock { $0 })") }
        self.address = address
    }

    private static func start(_ arguments: [String], _ variables: [String: String]) throws -> LineProcess {
        // A shell that becomes the program, so that both of its outputs are one.
        try LineProcess(
            executable: "/bin/sh", ["-c", #"exec "$0" "$@" 2>&1"#, executable] + arguments,
            variables: ["PERDURE_STORE": "", "PERDURE_CONFIG": ""].merging(variables) { $1 })
    }

    /// `perdure` lies beside the bundle of the tests.
    private static var executable: String {
        URL(fileURLWithPath: LineProcess.ownExecutable).deletingLastPathComponent().appending(path: "perdure").path
    }

    /// Runs a command of `perdure` to its end.
    static func type(_ arguments: String..., variables: [String: String] = [:]) async throws -> (status: Int32, output: String) {
        let process = try start(arguments, variables)
        var output = ""
        for await line in process.lines { output += String(decoding: line, as: UTF8.self) + "\n" }
        return (await process.wait(), output)
    }

    // MARK: What it says

    /// Waits until it has said a line with this in it.
    func until(says text: String) async throws {
        if lines(with: text) > 0 { return }
        for await line in process.lines {
            let line = String(decoding: line, as: UTF8.self)
            said.withLock { $0.append(line) }
            if line.contains(text) { return }
        }
        throw Missing(text: "'\(text)' was not said in \(said.withLock { $0 })")
    }

    func lines(with text: String) -> Int { all.count { $0.contains(text) } }

    var all: [String] { said.withLock { $0 } }

    /// Asks it to end, hears the rest, and says with what it ended.
    func end() async -> Int32 {
        process.terminate()
        for await line in process.lines { said.withLock { $0.append(String(decoding: line, as: UTF8.self)) } }
        return await process.wait()
    }

    func kill() { process.kill() }

    // MARK: Health

    func get(_ path: String) async throws -> (status: Int, json: JSONValue) {
        let response = try await HTTPClient.shared.execute(HTTPClientRequest(url: address + path), timeout: .seconds(60))
        let body = try await response.body.collect(upTo: 1 << 20)
        return (Int(response.status.code), try JSONValue.parse(Array(body.readableBytesView), what: path))
    }

    /// Waits until the details are like this.
    @discardableResult
    func until(_ condition: (JSONValue) throws -> Bool) async throws -> JSONValue {
        while true {
            let json = try await get("/health").json
            if try condition(json) { return json }
            await Task.yield()
        }
    }

    /// Waits until it can do its work, or cannot.
    func until(ready: Bool) async throws {
        while try await get("/health/ready").status != (ready ? 200 : 503) { await Task.yield() }
    }
}

struct Missing: Error { let text: String }

/// Gives the body a process, which is gone afterwards.
func serving<Result>(
    _ arguments: String..., variables: [String: String] = [:], _ body: (Serving) async throws -> Result
) async throws -> Result {
    let serving = try await Serving(arguments, variables: variables)
    defer { serving.kill() }
    return try await body(serving)
}

/// Gives the body a folder, which is gone afterwards.
func withFolder<Result>(_ body: (URL) async throws -> Result) async throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-serve-\(UUID().uuidString.lowercased())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await body(folder)
}
