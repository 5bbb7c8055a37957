import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureServer

/// Histories that are followed while they grow.
@Suite(.timeLimit(.minutes(5))) struct LiveTests {
    /// The lines of one stream of server-sent events.
    private struct Stream {
        let status: Int
        let type: String?
        var events: AsyncThrowingStream<[String: String], any Error>.Iterator

        mutating func next() async throws -> [String: String]? { try await events.next(isolation: #isolation) }

        /// What comes until the end of the stream.
        mutating func rest() async throws -> [[String: String]] {
            var all: [[String: String]] = []
            while let event = try await next() { all.append(event) }
            return all
        }
    }

    private func follow(_ desk: APIDesk, _ run: String, query: String = "", after id: String? = nil) async throws -> Stream {
        var request = HTTPClientRequest(url: "\(desk.address)/v1/namespaces/default/runs/\(run)/events\(query)")
        if let id { request.headers.add(name: "last-event-id", value: id) }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(120))
        let (events, continuation) = AsyncThrowingStream.makeStream(of: [String: String].self, throwing: (any Error).self)
        let reading = Task {
            do {
                var text = ""
                for try await part in response.body {
                    text += String(buffer: part)
                    while let end = text.firstRange(of: "\n\n") {
                        let block = text[..<end.lowerBound].split(separator: "\n").filter { !$0.hasPrefix(":") }
                        text = String(text[end.upperBound...])
                        let pairs = block.compactMap { line in
                            line.firstRange(of: ": ").map { (String(line[..<$0.lowerBound]), String(line[$0.upperBound...])) }
                        }
                        let event = Dictionary(pairs) { first, _ in first }
                        if event["data"] != nil { continuation.yield(event) }
                    }
                }
                continuation.finish()
            } catch {
                continuation.finish(throwing: error)
            }
        }
        continuation.onTermination = { _ in reading.cancel() }
        return Stream(
            status: Int(response.status.code), type: response.headers.first(name: "content-type"),
            events: events.makeAsyncIterator())
    }

    // Promise: 28
    @Test func `whoever follows a run is told each event once, in order, until it is over`() async throws {
        try await atDesk { desk in
            let run = try await desk.start("wait", "x")
            var stream = try await follow(desk, run)
            #expect(stream.status == 200 && stream.type == "text/event-stream")
            let first = try #require(try await stream.next())
            #expect(first["id"] == "1" && first["data"]?.contains(#""kind":"run.started""#) == true)
            // Begun before what follows has happened.
            #expect(try await desk.ask("cancelRun", ["run": .string(run)]).status == 202)
            let rest = try await stream.rest()
            let end = try #require(rest.last)
            #expect(end["event"] == "end" && end["data"] == #"{"state":"cancelled"}"#)
            let told = [first] + rest.dropLast()
            let history = try await desk.ask("getHistory", ["run": .string(run), "limit": 500]).json["events"]?.arrayValue ?? []
            #expect(told.compactMap { $0["data"] } == history.map(\.canonicalText))
            #expect(told.compactMap { $0["id"] } == history.compactMap { $0["seq"]?.canonicalText })

            // Whoever lost the connection goes on behind what had come.
            var again = try await follow(desk, run, after: first["id"])
            #expect(try await again.rest() == rest)
            var page = try await follow(desk, run, query: "?after=1")
            #expect(try await page.rest() == rest)
            let last = try #require(told.last?["id"])
            #expect(try await follow(desk, run, after: last).status == 204)
        }
    }

    @Test func `a stream that cannot be is refused before it begins`() async throws {
        try await atDesk { desk in
            let run = try await desk.start("greet", "x")
            for id in ["x", "-1", "1.5", "99999999999999999999"] {
                #expect(try await follow(desk, run, after: id).status == 400, "\(id)")
            }
            #expect(try await follow(desk, "01a20800-0000-7000-8000-000000000000").status == 404)
        }
    }

    @Test func `so many may follow at once, and who waits is woken by growth and by nothing else`() async throws {
        try await atDesk { desk in
            let live = LiveHistories(client: desk.client, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            for place in 0..<LiveHistories.mostFollowers {
                #expect(await live.enter("caller \(place / LiveHistories.mostOfOne)"))
            }
            #expect(await live.hasRoom(for: "new") == false)
            #expect(await live.enter("new") == false)
            await live.leave("caller 3")
            // Whoever has all that one may have gets no more, and others do.
            #expect(await live.enter("caller 4") == false)
            #expect(await live.enter("new"))

            let run = try #require(RunID(try await desk.start("wait", "x")))
            try await desk.until(run.description, is: "waiting")
            let record = try await desk.client.record(run)
            let last = try #require(try await desk.client.history(of: run).last?.seq)
            // What has come before is there at once, what has not is waited for until it comes.
            try await live.growth(of: record.number, beyond: last - 1)
            let waits = Task { try await live.growth(of: record.number, beyond: last) }
            let givesUp = Task { try await live.growth(of: record.number, beyond: 1_000) }
            try await desk.client.cancel(run, by: Principal(.human, "ada"))
            try await waits.value
            givesUp.cancel()
            await #expect(throws: CancellationError.self) { try await givesUp.value }
        }
    }

    @Test func `who has hung up holds nothing up, and a server that ends lets go of who follows`() async throws {
        try await atDesk { desk in
            let run = try await desk.start("wait", "x")
            for _ in 0..<3 {
                var stream = try await follow(desk, run)
                #expect(try await stream.next()?["id"] == "1")
            }
            // Ends with the server: it would hang here otherwise.
            var open = try await follow(desk, run)
            #expect(try await open.next()?["id"] == "1")
        }
    }
}
