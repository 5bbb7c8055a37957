import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Files of histories that were changed on their way. A trap ends the process of the tests; every seed is told before it is tried.
@Suite(.timeLimit(.minutes(5))) struct FileFuzzTests {
    private static let file = Task { try await Histories.recorded().file }

    private func check(_ bytes: [UInt8], _ desk: Desk) async throws -> Desk.Reply {
        let file = desk.folder.appending(path: "histories.jsonl")
        try Data(bytes).write(to: file)
        return await desk.type(["check", "--histories", file.path]) { $0.workflows = { Histories.workflows } }
    }

    @Test func `the file that is damaged can be taken as it is`() async throws {
        let reply = try await check(try await Self.file.value, try Desk())
        #expect(reply.status == .success && reply.output.contains("runs checked"), "\(reply)")
    }

    @Test(arguments: Damage.seeds(0..<8).map { $0 * 1_000 })
    func `a file that was changed anywhere is refused with its place, or checked`(first: UInt64) async throws {
        let whole = try await Self.file.value, desk = try Desk()
        for seed in Damage.seeds(first..<first + 30) {
            var damage = Damage(seed: seed)
            let bytes = Self.damaged(whole, &damage)
            let reply = try await check(bytes, desk)
            switch reply.status {
            case .success, .failed: continue
            case .store: #expect(reply.errors.contains("code: history_file_"), "seed \(seed): \(reply.errors)")
            default: Issue.record("seed \(seed): \(reply.status), \(reply.errors)")
            }
        }
    }

    private static func damaged(_ whole: [UInt8], _ damage: inout Damage) -> [UInt8] {
        if damage.chance(4) { return damage.damaged(whole) }
        var lines = whole.split(separator: 10).map { Array($0) }
        let place = damage.number(below: lines.count)
        switch damage.number(below: 8) {
        case 0: lines.remove(at: place)
        case 1: lines.insert(lines[place], at: damage.number(below: lines.count))
        case 2: lines.swapAt(place, damage.number(below: lines.count))
        case 3: lines[place] = damage.damaged(lines[place])
        default:
            // Still JSON, with something else in it.
            if let value = try? JSONValue.parse(lines[place]) { lines[place] = damage.damaged(value).canonicalBytes }
        }
        return Array(lines.joined(separator: [10]))
    }
}
