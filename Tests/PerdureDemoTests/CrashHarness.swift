import Foundation
import Perdure
import PerdureCLI
import PerdureEngine
import PerdureExamples
import PerdureHistory
import PerdurePeer
import PerdureProcess
import Testing

/// One run of an example workflow, the engine processes that carry it, and the peer that counts.
struct CrashHarness {
    let stage: Stage
    let lives: Lives
    let start: EngineSetup.Start

    /// Plays a run on a stage of its own.
    static func play(
        _ workflow: String, key: String, input: some Encodable & Sendable,
        _ body: @escaping @Sendable (CrashHarness) async throws -> Void
    ) async throws {
        let start = try EngineSetup.Start(workflow, key: key, input: input)
        try await Stage.run(executable: executable) { stage in
            let harness = CrashHarness(stage: stage, lives: Lives(stage), start: start)
            try await body(harness)
            await harness.lives.person.leave()
        }
    }

    /// `perdure` lies beside the bundle of the tests.
    static var executable: String {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: tests).deletingLastPathComponent().appending(path: "perdure").path
    }

    /// What a command of `perdure` reports as one JSON object.
    static func report<Report: Decodable>(of arguments: [String]) async throws -> (status: Int32, report: Report) {
        let process = try LineProcess(executable: executable, arguments, isHeard: false)
        var json = Data()
        for await line in process.lines { json += line + Data("\n".utf8) }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return (await process.wait(), try decoder.decode(Report.self, from: json))
    }

    // MARK: Lives

    /// A moment at which an engine dies.
    struct Place: Sendable {
        let moment: CrashRule.Moment
        let what: String
        var subject = ""
    }

    func die(_ boundary: Boundary, at place: Place) async throws {
        try await die(boundary, place.moment, place.what, subject: place.subject)
    }

    /// An engine that kills itself at this moment; the test fails if it does not come.
    func die(_ boundary: Boundary, _ moment: CrashRule.Moment, _ what: String = "", subject: String = "", count: Int = 1)
        async throws
    {
        let rule = CrashRule(boundary, moment, what, subject: subject, count: count)
        let life = try await lives.live([start], crash: rule)
        #expect(life.crash != nil && life.wasKilled, "the engine was not killed at \(what) \(subject)")
    }

    /// An engine that is killed when the peer has had the effect and keeps the answer.
    func dieWhileHeld(_ operation: PeerOperation) async throws {
        let life = try await lives.liveUntilHeld([start], operation)
        #expect(life.wasKilled)
    }

    /// An engine that nobody kills.
    func finish() async throws { try await lives.liveToTheEnd([start]) }

    // MARK: What there is to see

    var run: RunID { get throws { try #require(lives.run(start.key)) } }

    var client: Client { get async throws { try await lives.person.connected() } }

    /// The history, with its hash chain checked.
    var history: [Event] {
        get async throws {
            let client = try await client, run = try run
            let events = try await client.history(of: run), namespace = try await client.run(run).namespace
            _ = try EventChain.verify(events, run: run.description, from: .start(namespace: namespace, run: run.description))
            return events
        }
    }

    var state: String { get async throws { try await client.run(run).state } }

    /// How often an event stands in the history.
    func count(_ kind: EventKind, _ subject: String? = nil) async throws -> Int {
        try await history.count { $0.kind == kind && (subject == nil || $0.subject == subject) }
    }

    /// How steps in doubt were settled, in order.
    var resolutions: [String] {
        get async throws {
            try await history.filter { $0.kind == .stepResolved }.map {
                try $0.attributes.object()["resolution"]?.stringValue ?? ""
            }
        }
    }

    /// What the workflow returned.
    func output<Output: Decodable>(as type: Output.Type = Output.self) async throws -> Output {
        let final = try #require(try await history.last)
        guard case .inline(let bytes)? = final.output else { throw DemoError("the run has no output") }
        return try JSONDecoder().decode(type, from: Data(bytes))
    }

    func counts(_ operation: PeerOperation, at service: PeerService) async throws -> PeerCounts.Operation {
        try await service.ledger.counts()[operation]
    }

    /// The idempotency keys that requests came with.
    func keys(_ operation: PeerOperation, at service: PeerService) async throws -> Set<String> {
        Set(try await service.ledger.requests(of: .operation(operation)).compactMap(\.idempotencyKey))
    }
}
