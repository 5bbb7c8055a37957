import Foundation
import Perdure
import PerdureCLI
import PerdureEngine
import PerdureExamples
import PerdureHistory
import PerdureStore
import PerdureTesting
import Testing

/// Three weeks, fourteen systems, two approvals, an outage of four hours, and a deploy in the middle.
@Suite(.timeLimit(.minutes(5))) struct ThreeWeeksStoryTests {
    /// What is deployed in the middle, beside the version that the run is on.
    private struct MoveFaster: Workflow {
        static let name = MoveSystems.name
        static let version: WorkflowVersion = "2"
        static let owner = MoveSystems.owner
        let peer: PeerClient
        func run(_ move: Move, _ context: WorkflowContext) async throws -> [Account] { [] }
    }

    private static let systems = (1...14).map { "system-\($0 < 10 ? "0" : "")\($0)" }

    private func play() async throws -> (events: [Event], version: String, peer: FakePeer, elapsed: Duration) {
        let peer = FakePeer()
        let tester = try await WorkflowTester { MoveSystems(peer: peer.client) }
        let run = try await tester.start(
            MoveSystems.self, input: Move(change: "C-2", systems: Self.systems),
            script: [.approve("announce", after: .days(2)), .approve("cut-over", after: .hours(50))])
        // From shortly before a system is due.
        try await tester.sleep(for: .days(7) - .minutes(1))
        peer.suffer(.init(.isDown, at: "/directory"))
        try await tester.sleep(for: .hours(4))
        peer.suffer()
        try await tester.sleep(for: .days(2))
        try await tester.deploy(build: "next") {
            MoveSystems(peer: peer.client)
            MoveFaster(peer: peer.client)
        }
        let end = try await tester.perform { engine in
            _ = try await engine.result(of: run)
            return (try await engine.client.history(of: run), try await engine.client.record(run).version)
        }
        let elapsed = tester.elapsed
        await tester.close()
        return (end.0, end.1, peer, elapsed)
    }

    // Promise: 1, 17, 25
    @Test func `three weeks end late, nobody intervenes, and the page shows them as they went`() async throws {
        let (events, version, peer, elapsed) = try await play()
        #expect(events.last?.kind == .runCompleted && version == "1")
        #expect(elapsed > .days(21) && elapsed < .days(22))
        #expect(Set(peer.effects.values) == [1] && peer.effects.count == 31)
        #expect(events.count { $0.kind == .stepAttemptFailed } > 40)
        #expect(!events.contains { $0.kind == .operatorAction || $0.kind == .stepResolved || $0.kind == .runBlocked })
        let builds = try events.compactMap { try $0.attributes.object()["build"]?.stringValue }
        #expect(Set(builds) == ["simulated", "next"])
        let text = Timeline.text(events)
        Attachment.record(text, named: "three-weeks.txt")
        print(text)
        try Timeline.expect(text, inDocument: "docs/stories.md", behind: "<!-- timeline: three weeks -->")
    }
}

/// A history as a page shows it: a line for each event, attempts that fail in a row as one.
private enum Timeline {
    static func text(_ events: [Event]) -> String {
        var lines: [String] = [], index = 0
        while index < events.count {
            let event = events[index], what = name(event)
            var last = index
            if event.kind == .stepAttemptFailed {
                while last + 1 < events.count, name(events[last + 1]) == what { last += 1 }
            }
            let times = last == index ? "" : "  \(last - index + 1) times, until \(time(events[last]))"
            lines.append("\(time(event))  \(what)\(times)\(detail(event))")
            index = last + 1
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func name(_ event: Event) -> String {
        event.subject.isEmpty ? event.kind.rawValue : "\(event.kind.rawValue) \(event.subject)"
    }

    private static func time(_ event: Event) -> String { String(ReadableTime.point(event.at).dropLast()) }

    private static func detail(_ event: Event) -> String {
        let attributes = (try? event.attributes.object()) ?? JSONObject()
        switch event.kind {
        case .runStarted:
            return "  version \(attributes["version"]?.stringValue ?? ""), build \(attributes["build"]?.stringValue ?? "")"
        case .runResumed: return "  build \(attributes["build"]?.stringValue ?? "")"
        case .approvalDecided: return "  by \(attributes["by"]?["id"]?.stringValue ?? "")"
        default: return ""
        }
    }

    /// The block behind the mark has to be this text.
    static func expect(_ text: String, inDocument path: String, behind mark: String) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appending(path: path), encoding: .utf8)
        let block = "\(mark)\n```text\n\(text)```"
        #expect(page.contains(block), "\(path) shows another timeline. Behind '\(mark)' has to stand:\n\(text)")
    }
}
