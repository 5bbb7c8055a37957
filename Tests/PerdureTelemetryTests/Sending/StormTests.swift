import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureProcess
import PerdureSQLite
import PerdureStore
import Synchronization
import Testing

@testable import PerdureTelemetry

/// A program that hosts runs and sends their spans, killed again and again.
@Suite(.timeLimit(.minutes(5)), .disabled(if: ReceiverProcess.isSkipped, Comment(rawValue: ReceiverProcess.skipReason)))
struct StormTests {
    private static let person = Principal(.human, "bob")

    /// `perdure` in a process of its own.
    private struct Program {
        let process: LineProcess

        /// Returns when it says that it is there.
        ///
        /// - Parameter receiver: Where it sends spans to, if it does.
        init(
            _ arguments: String..., saying sign: String,
            to receiver: (process: ReceiverProcess, way: OTLPConfiguration.Transport)? = nil
        ) async throws {
            let program = URL(fileURLWithPath: LineProcess.ownExecutable).deletingLastPathComponent().appending(path: "perdure")
            var variables = ["OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"]
            if let (receiver, way) = receiver {
                let port = way == .http ? receiver.httpPort : receiver.grpcPort
                variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:\(port)"
                variables["OTEL_EXPORTER_OTLP_PROTOCOL"] = way.rawValue
            }
            process = try LineProcess(executable: program.path, arguments, variables: variables)
            for await line in process.lines where String(decoding: line, as: UTF8.self).contains(sign) { return }
            throw ReceiverProcess.Failure(description: "perdure \(arguments) has ended")
        }

        static func dev(
            _ folder: URL, to receiver: (process: ReceiverProcess, way: OTLPConfiguration.Transport)? = nil
        ) async throws -> Program {
            try await Program("dev", "--folder", folder.path, "--port", "0", saying: "Perdure at http", to: receiver)
        }

        func kill() async {
            process.kill()
            _ = await process.wait()
        }
    }

    /// What has come, and how many requests.
    private struct Received {
        var spans: [String: JSONValue] = [:]
        var requests = 0

        mutating func take(_ request: ReceiverProcess.Request) {
            requests += 1
            for span in request.items {
                guard let trace = span["trace_id"]?.stringValue, let id = span["span_id"]?.stringValue else { continue }
                spans["\(trace) \(id)"] = span
            }
        }

        /// Whose parent has not come.
        var orphans: [String] {
            spans.filter { key, span in
                guard let trace = span["trace_id"]?.stringValue, let parent = span["parent_span_id"]?.stringValue else {
                    return false
                }
                return spans["\(trace) \(parent)"] == nil
            }.map(\.key)
        }
    }

    // Promise: 43
    @Test(arguments: OTLPConfiguration.Transport.allCases)
    func `a storm of kill -9 leaves exactly the spans that history says`(way: OTLPConfiguration.Transport) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-storm-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let receiver = try await ReceiverProcess()
        var received = Received(), dice = SeededGenerator(seed: .random(in: 0..<1 << 40)), kills = 0
        var dev = try await Program.dev(folder, to: (receiver, way))
        let client = try await Client(.sqlite(folder.appending(path: "perdure.db").path))
        for round in 0..<5 {
            try await start(round, client)
            // In the middle of what it sends: what the receiver has is not marked yet, or just is.
            // Each of the three runs that have just begun gives rise to one request at least.
            for _ in 0...dice.roll(3) { received.take(try await receiver.next()) }
            if round == 2 { try await end(client, half: true) }
            await dev.kill()
            kills += 1
            dev = try await Program.dev(folder, to: (receiver, way))
        }
        try await end(client, half: false)
        let expected = try await spans(client)
        while !Set(received.spans.keys).isSuperset(of: expected) {
            try Task.checkCancellation()
            received.take(try await receiver.next())
        }
        dev.process.terminate()
        #expect(await dev.process.wait() == 0)
        #expect(Set(received.spans.keys) == expected)
        #expect(received.orphans.isEmpty)
        #expect(expected.count > 30 && kills == 5)
        await client.close()
    }

    @Test func `a process beside the one that hosts sends the spans of its namespaces`() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-storm-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let receiver = try await ReceiverProcess(), store = folder.appending(path: "perdure.db").path
        let dev = try await Program.dev(folder), client = try await Client(.sqlite(store))
        let order = Data(#"{"number":"1","cents":5}"#.utf8), workflow = "take-payment"
        _ = try await client.start(workflow: workflow, json: order, by: Self.person)
        let run = try await client.start(workflow: workflow, json: order, in: "shop", by: Self.person).run
        let serve = try await Program(
            "serve", "--store", store, "--namespaces", "shop", "--health-address", "127.0.0.1:0", saying: "Health at",
            to: (receiver, .http))
        var received = Received()
        while received.spans.count < 2 { received.take(try await receiver.next()) }
        for open in try await client.store.runs(RunFilter(limit: 10)) { try await client.terminate(open.id, by: Self.person) }
        while !received.spans.values.contains(where: { $0["parent_span_id"]?.stringValue == nil }) {
            received.take(try await receiver.next())
        }
        serve.process.terminate()
        #expect(await serve.process.wait() == 0)
        #expect(Set(received.spans.values.compactMap { $0["trace_id"]?.stringValue }) == [TraceID(run).description])
        #expect(received.orphans.isEmpty)
        await client.close()
        await dev.kill()
    }

    private func start(_ round: Int, _ client: Client) async throws {
        for number in 0..<3 {
            let order: JSONValue = ["number": .string("\(round)-\(number)"), "cents": 1_200]
            let workflow = ["take-payment", "take-payment-without-keys", "take-payment"][number]
            _ = try await client.start(workflow: workflow, json: Data(order.canonicalBytes), by: Self.person)
        }
    }

    /// Ends what waits: some as it is, others after they have undone what they did.
    private func end(_ client: Client, half: Bool) async throws {
        var isOver = false
        while !isOver {
            let open = try await client.store.runs(RunFilter(limit: 1_000)).filter { !$0.state.isFinal }
            for (place, run) in open.enumerated() where !half || place % 2 == 0 {
                // It may have ended meanwhile.
                if place % 3 == 0 { try? await client.terminate(run.id, id: "end", by: Self.person) }
                try? await client.cancel(run.id, id: "end", by: Self.person)
            }
            isOver = half || open.isEmpty
            try Task.checkCancellation()
            await Task.yield()
        }
    }

    private func spans(_ client: Client) async throws -> Set<String> {
        var ids: Set<String> = []
        for run in try await client.store.runs(RunFilter(limit: 1_000)) {
            var trace = RunTrace(run)
            for span in trace.add(try await client.history(of: run.id)) { ids.insert("\(span.traceID) \(span.id)") }
        }
        return ids
    }
}
