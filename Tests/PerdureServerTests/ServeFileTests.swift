import Foundation
import GRDB
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import Testing

/// `perdure serve` beside a file, as a process.
@Suite(.timeLimit(.minutes(5))) struct ServeFileTests {
    private func change(_ path: String, _ sql: String) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.write { try $0.execute(sql: sql) }
        try queue.close()
    }

    @Test func `schedules start runs where nobody hosts anything, also of a store that is made later`() async throws {
        try await withFolder { folder in
            let path = folder.appending(path: "perdure.db").path
            try await serving("--store", path) { serve in
                let ready = try await serve.get("/health/ready")
                #expect(ready.status == 503 && ready.json["reason"]?.stringValue?.contains("no store at") == true)
                #expect(try await serve.get("/health/live").status == 200)
                try await hosting(.sqlite(path)) { engine in
                    _ = try await engine.start(Greet.self, input: "ada", by: ada).result()
                }
                try await serve.until(ready: true)
                try await withClient(.sqlite(path)) { client in
                    _ = try await client.schedule("often", try eachSecond(), by: ada)
                    try await client.wait { try await $0.runs(workflow: Greet.name).count >= 3 }
                    #expect(try await client.runs(workflow: Greet.name, limit: 1).first?.state == "ready")
                }
                // The lock of the file is nobody's: whoever hosts the workflows can come, and takes the runs on.
                try await hosting(.sqlite(path)) { engine in
                    try await engine.client.wait { try await ($0.counts()["completed"] ?? 0) >= 3 }
                }
                #expect(await serve.end() == 0)
                #expect(serve.lines(with: "the store cannot be used; trying again") == 1)
                #expect(serve.lines(with: "error") == 1)
            }
        }
    }

    @Test func `a history that was changed is found, told once, and forgotten when it is right again`() async throws {
        try await withFolder { folder in
            let path = folder.appending(path: "perdure.db").path
            let run = try await hosting(.sqlite(path)) { engine in
                let run = try await engine.start(Greet.self, input: "ada", by: ada)
                _ = try await run.result()
                return run.id
            }
            try await serving("--store", path, "--verification-round", "1s") { serve in
                try await serve.until { $0["status"] == "ok" && $0["verification"]?["verified"] != 0 }
                try change(path, "UPDATE events SET output = CAST('\"forged\"' AS BLOB) WHERE seq = 2 AND run = 1")
                let told = try await serve.until { $0["status"] == "degraded" }
                #expect(told["verification"]?["findings"]?.arrayValue?.map { $0["run"] } == [.string(run.description)])
                #expect(told["verification"]?["findings"]?.arrayValue?.first?["rule"] == "chain")
                #expect(try await serve.get("/health/ready").status == 200)
                #expect(try await serve.get("/health").status == 200)
                #expect(try await Serving.type("verify", "--all", "--store", path).status == 1)
                let times = told["verification"]?["verified"]?.integerValue ?? 0
                try await serve.until { ($0["verification"]?["verified"]?.integerValue ?? 0) > times + 2 }
                try change(path, "UPDATE events SET output = CAST('\"Hello ada\"' AS BLOB) WHERE seq = 2 AND run = 1")
                try await serve.until { $0["status"] == "ok" }
                #expect(await serve.end() == 0)
                #expect(serve.lines(with: "a history was verified and does not hold together") == 1)
                #expect(serve.lines(with: "a history holds together again") == 1)
            }
        }
    }

    @Test func `only the namespaces that are named are worked for`() async throws {
        try await withFolder { folder in
            let path = folder.appending(path: "perdure.db").path
            try await hosting(.sqlite(path)) { _ in }
            try await serving("--store", path, "--namespaces", "one,two") { serve in
                try await serve.until(ready: true)
                try await withClient(.sqlite(path)) { client in
                    for namespace in ["one", "two", "other"] {
                        _ = try await client.schedule("often", try eachSecond(), in: namespace, by: ada)
                    }
                    for namespace in ["one", "two"] {
                        try await client.wait { try await ($0.counts(namespace: namespace)["ready"] ?? 0) >= 2 }
                    }
                    #expect(try await client.counts(namespace: "other").isEmpty)
                }
                #expect(await serve.end() == 0)
            }
        }
    }

    @Test func `what cannot be set ends the process at once, with key and source`() async throws {
        try await withFolder { folder in
            let file = folder.appending(path: "perdure.json")
            try Data("{\n  \"verification\": {\"pace\": 7}\n}".utf8).write(to: file)
            let unknown = try await Serving.type("serve", "--config", file.path)
            #expect(unknown.status == 2 && unknown.output.contains("configuration_invalid"))
            #expect(unknown.output.contains("\(file.path):2: 'verification.pace' is not known"))
            let open = try await Serving.type("serve", variables: ["PERDURE_HEALTH_ADDRESS": "0.0.0.0:7433"])
            #expect(open.status == 2 && open.output.contains("variable PERDURE_HEALTH_ADDRESS"))
            let strange = folder.appending(path: "other.db").path
            try await DatabaseQueue(path: strange).write {
                try $0.execute(sql: "CREATE TABLE things (x); PRAGMA application_id = 7")
            }
            let refused = try await Serving.type("serve", "--store", strange, "--health-address", "127.0.0.1:0")
            #expect(refused.status == 5 && refused.output.contains("store_not_ours"))
        }
    }

    @Test func `the effective settings are shown with their sources and without passwords`() async throws {
        try await withFolder { folder in
            let file = folder.appending(path: "perdure.json")
            try Data(#"{"store": "postgres://app:hush@db/perdure", "node": "keeper-1"}"#.utf8).write(to: file)
            let shown = try await Serving.type(
                "config", "--json", "--log-level", "debug", variables: ["PERDURE_CONFIG": file.path, "PERDURE_NODE": "keeper-2"])
            #expect(shown.status == 0 && !shown.output.contains("hush"))
            let settings = try JSONValue.parse(Array(shown.output.utf8), what: "settings")["settings"]?.arrayValue ?? []
            func source(_ key: String) -> JSONValue? { settings.first { $0["key"] == .string(key) }?["source"] }
            #expect(source("store")?["line"] == 1 && source("store")?["name"] == .string(file.path))
            #expect(source("node")?["name"] == "PERDURE_NODE" && source("log.level")?["name"] == "--log-level")
            #expect(source("shutdown.patience")?["kind"] == "default")
            let table = try await Serving.type("config", variables: ["PERDURE_CONFIG": file.path])
            #expect(table.output.contains("postgres://app@db/perdure") && !table.output.contains("hush"))
        }
    }
}
