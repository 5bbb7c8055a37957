import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureProcess
import PerdureStore
import Testing

@testable import PerdurePostgres

/// `perdure serve` on a database, as processes. `Scripts/with_postgres.py` makes the server.
@Suite(.timeLimit(.minutes(5))) struct ServeDatabaseTests {
    /// A database of its own for one test.
    private func withDatabase(_ body: (URLComponents) async throws -> Void) async throws {
        let text = try #require(
            ProcessInfo.processInfo.environment["PERDURE_TEST_POSTGRES"],
            "Run under a server: Scripts/with_postgres.py swift test --filter PerdureServerTests")
        var parts = try #require(URLComponents(string: text))
        let name = "t\(UUID().uuidString.lowercased().replacing("-", with: ""))"
        let server = Connection(try ServerAddress(text))
        let make = "CREATE DATABASE \(name)", drop = "DROP DATABASE \(name) WITH (FORCE)"
        try await server.perform { try $0.run(make) }
        parts.path = "/" + name
        do {
            try await body(parts)
        } catch {
            try? await server.perform { try $0.run(drop) }
            throw error
        }
        try? await server.perform { try $0.run(drop) }
    }

    private func url(_ parts: URLComponents) throws -> String { try #require(parts.string) }

    @Test func `the process starts while the server is away, says so once, and is ready as soon as it can be reached`()
        async throws
    {
        try await withDatabase { parts in
            var away = parts
            let upstream = try #require(parts.port)
            var proxy = try Proxy(to: upstream)
            let port = proxy.port
            proxy.stop()
            away.port = port
            try await serving("--store", try url(away)) { serve in
                try await serve.until(says: "the store cannot be used; trying again")
                let ready = try await serve.get("/health/ready")
                #expect(ready.status == 503 && ready.json["reason"]?.stringValue?.isEmpty == false)
                proxy = try Proxy(to: upstream, on: port)
                try await serve.until(ready: true)
                proxy.stop()
                try await serve.until(says: "the store cannot be reached; trying again")
                #expect(try await serve.get("/health/ready").status == 503)
                #expect(try await serve.get("/health").json["status"] == "unavailable")
                #expect(try await serve.get("/health/live").status == 200)
                proxy = try Proxy(to: upstream, on: port)
                try await serve.until(ready: true)
                #expect(await serve.end() == 0)
                for line in ["the store cannot be used; trying again", "the store cannot be reached; trying again"] {
                    #expect(serve.lines(with: line) == 1)
                }
                // With every other work that has failed and gone on, and no more however long it took.
                #expect(serve.lines(with: " error ") + serve.lines(with: " warning ") < 10)
                #expect(serve.lines(with: "perdure-test") == 0)
            }
            proxy.stop()
        }
    }

    @Test func `schedules, retention and verification go on without a node, and two processes do nothing twice`() async throws {
        try await withDatabase { parts in
            let url = try url(parts)
            let arguments = ["--store", url, "--verification-round", "1s", "--retention-closed", "1s"]
            let broken = try await hosting(.postgres(url)) { engine in
                _ = try await engine.start(Greet.self, input: "ada", by: ada).result()
                let waiting = try await engine.start(Wait.self, input: "", by: ada)
                try await engine.client.wait { try await $0.run(waiting.id).state == "waiting" }
                // Time enough for the history of the closed one.
                let end = engine.client.store.now() + .seconds(1)
                try await engine.client.wait { $0.store.now() > end }
                return waiting.id
            }
            let first = try await Serving(arguments + ["--node", "keeper-1"])
            defer { first.kill() }
            let second = try await Serving(arguments + ["--node", "keeper-2"])
            defer { second.kill() }
            try await first.until(ready: true)
            try await second.until(ready: true)
            let client = try await Client(.postgres(url))
            let nodes = try await client.nodes()
            #expect(Set(nodes.map(\.registration.host)) == ["keeper-1", "keeper-2"])
            #expect(nodes.map(\.registration.hosted.count) == [0, 0])

            _ = try await client.schedule("often", try eachSecond(), by: ada)
            try await client.wait { try await $0.runs(workflow: Greet.name).count >= 4 }
            _ = try await client.pauseSchedule("often", note: "enough", by: ada)
            let runs = try await client.store.runs(RunFilter(workflow: Greet.name, limit: 1_000)).filter { $0.key != nil }
            #expect(try await client.schedule("often").started == runs.count)
            try await client.wait { try await ($0.store.runs(RunFilter(limit: 100)).contains { $0.tombstone != nil }) }

            let tamper = """
                UPDATE perdure.events SET hash = decode(repeat('00', 32), 'hex') WHERE seq = 1
                    AND run = (SELECT number FROM perdure.runs WHERE workflow = 'wait')
                """
            try await Connection(try ServerAddress(url)).perform { try $0.run(tamper) }
            // It falls to one of the two.
            while try await [first, second].asyncMap({ try await $0.get("/health").json }).allSatisfy({
                $0["verification"]?["broken"] == 0
            }) {
                await Task.yield()
            }
            // Told first, then set aside.
            try await client.wait { try await $0.run(broken).state == "quarantined" }
            let findings = try await [first, second].asyncMap { try await $0.get("/health").json["verification"]?["broken"] }
            #expect(findings.contains(1) && findings.contains(0))
            await client.close()
            for serve in [first, second] {
                #expect(await serve.end() == 0)
                // Long before its patience was over.
                #expect(serve.lines(with: "Stopped.") == 1, "\(serve.all)")
            }
            #expect([first, second].map { $0.lines(with: "does not hold together") }.reduce(0, +) == 1)
        }
    }

    @Test func `a version that nobody hosts any more is told once, and again when somebody does`() async throws {
        try await withDatabase { parts in
            let url = try url(parts)
            try await serving("--store", url) { serve in
                try await hosting(.postgres(url)) { engine in
                    let waiting = try await engine.start(Wait.self, input: "", by: ada)
                    try await engine.client.wait { try await $0.run(waiting.id).state == "waiting" }
                    try await serve.until(ready: true)
                }
                try await serve.until(says: "a version is stranded")
                let health = try await serve.until { $0["status"] == "degraded" }
                #expect(health["stranded"]?.arrayValue?.map { $0["workflow"] } == ["wait"])
                try await hosting(.postgres(url)) { _ in
                    try await serve.until(says: "a version that was stranded is hosted again")
                    try await serve.until { $0["status"] == "ok" }
                }
                #expect(serve.lines(with: "a version is stranded") == 1)
            }
        }
    }

    @Test func `a process that has lost its lease goes on as another node`() async throws {
        try await withDatabase { parts in
            let url = try url(parts)
            try await serving("--store", url) { serve in
                try await serve.until(ready: true)
                let node = try await serve.get("/health").json["node"]
                let end = "UPDATE perdure.nodes SET ended_at = 1"
                try await Connection(try ServerAddress(url)).perform { try $0.run(end) }
                try await serve.until(says: "this node has lost its lease; it ends")
                try await serve.until { $0["node"] != node && $0["status"] == "ok" }
                #expect(await serve.end() == 0)
            }
        }
    }

    @Test func `a server that has fallen silent does not keep the process from ending`() async throws {
        try await withDatabase { parts in
            let proxy = try Proxy(to: try #require(parts.port))
            defer { proxy.stop() }
            var behind = parts
            behind.port = proxy.port
            try await serving("--store", try url(behind), "--shutdown-patience", "1s") { serve in
                try await serve.until(ready: true)
                proxy.mode = .silent
                #expect(await serve.end() == 0)
                #expect(serve.lines(with: "Ended before all was done") == 1)
            }
        }
    }
}

extension Array {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async throws -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
