import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import PerdureHistory
import PerdureProcess
import Testing

/// `perdure dev` as a process of its own.
@Suite(.timeLimit(.minutes(5))) struct DevTests {
    /// A process that serves the API over a folder.
    private struct Dev {
        let process: LineProcess
        let address: String

        init(_ folder: URL) async throws {
            let program = URL(fileURLWithPath: LineProcess.ownExecutable).deletingLastPathComponent().appending(path: "perdure")
                .path
            process = try LineProcess(executable: program, ["dev", "--folder", folder.path, "--port", "0"], variables: [:])
            for await line in process.lines {
                let text = String(decoding: line, as: UTF8.self)
                guard let match = text.firstMatch(of: #/Perdure at (http://127\.0\.0\.1:\d+),/#) else { continue }
                address = String(match.output.1)
                return
            }
            throw Missing(text: "it ended before it took requests")
        }

        func ask(_ method: HTTPMethod, _ path: String, _ body: JSONValue? = nil, key: String = "k") async throws -> JSONValue {
            var request = HTTPClientRequest(url: "\(address)/v1/namespaces/default\(path)")
            request.method = method
            if let body {
                request.headers = ["content-type": "application/json", "idempotency-key": "\"\(key)\""]
                request.body = .bytes(body.canonicalBytes)
            }
            let response = try await HTTPClient.shared.execute(request, timeout: .seconds(120))
            let bytes = try await response.body.collect(upTo: 1 << 20)
            return try JSONValue.parse(Array(bytes.readableBytesView), what: "an answer")
        }

        /// Its patience is that of the API: each look waits for a minute at most.
        func result(of run: String) async throws -> JSONValue {
            while true {
                let result = try await ask(.GET, "/runs/\(run)/result?wait_seconds=60")
                if result["state"] != "waiting", result["state"] != "running", result["state"] != "ready" { return result }
            }
        }
    }

    @Test func `it is killed, and goes on where it was`() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-dev-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let first = try await Dev(folder)
        let order: JSONValue = ["workflow": "take-payment", "input": ["number": "7", "cents": 1200]]
        let run = try #require(try await first.ask(.POST, "/runs", order)["run"]?.stringValue)
        // It has charged, and waits for the settlement.
        while try await first.ask(.GET, "/runs/\(run)")["state"] != "waiting" {}
        let metrics = try await HTTPClient.shared.execute(
            HTTPClientRequest(url: "\(first.address)/metrics"), timeout: .seconds(60))
        let text = String(buffer: try await metrics.body.collect(upTo: 1 << 20))
        #expect(text.firstRange(of: #/perdure_step_attempts_total [1-9]/#) != nil, "\(text)")
        first.process.kill()
        _ = await first.process.wait()

        let second = try await Dev(folder)
        // Answered as it was before the process died.
        #expect(try await second.ask(.POST, "/runs", order) == ["run": .string(run), "new": true])
        _ = try await second.ask(.POST, "/runs/\(run)/cancel", [:], key: "another")
        #expect(try await second.result(of: run)["state"] == "cancelled")
        let events = try await second.ask(.GET, "/runs/\(run)/history?limit=500")["events"]?.arrayValue ?? []
        let kinds = events.compactMap { $0["kind"]?.stringValue }
        #expect(kinds.filter { $0 == "step.succeeded" }.count == 1 && kinds.contains("undo.succeeded"))
        #expect(kinds.contains("run.resumed"))
        second.process.terminate()
        #expect(await second.process.wait() == 0)
    }

    @Test func `whoever waits for a result does not hold up its end`() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-dev-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let dev = try await Dev(folder)
        let order: JSONValue = ["workflow": "take-payment", "input": ["number": "7", "cents": 1200]]
        let run = try #require(try await dev.ask(.POST, "/runs", order)["run"]?.stringValue)
        while try await dev.ask(.GET, "/runs/\(run)")["state"] != "waiting" {}
        async let poll = dev.ask(.GET, "/runs/\(run)/result?wait_seconds=60")
        // It has begun to wait when the next request is answered, or it is answered as one that comes too late.
        _ = try await dev.ask(.GET, "/runs/\(run)")
        dev.process.terminate()
        #expect(await dev.process.wait() == 0)
        let answer = try? await poll
        #expect(answer == nil || answer?["code"] == "ending")
    }

    @Test func `a port that is taken and a folder that cannot be are told, and nothing is left running`() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-dev-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let dev = try await Dev(folder)
        let port = String(try #require(dev.address.split(separator: ":").last))
        let other = try await Serving.type("dev", "--folder", folder.path + "-2", "--port", port)
        defer { try? FileManager.default.removeItem(atPath: folder.path + "-2") }
        #expect(other.status != 0 && other.output.contains("configuration_invalid") && other.output.contains(port))
        let same = try await Serving.type("dev", "--folder", folder.path, "--port", "0")
        #expect(same.status != 0 && same.output.contains("store_locked"))
        let nowhere = try await Serving.type("dev", "--folder", "/dev/null/x", "--port", "0")
        #expect(nowhere.status != 0 && nowhere.output.contains("/dev/null/x"))
        dev.process.kill()
        _ = await dev.process.wait()
    }
}
