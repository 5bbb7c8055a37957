import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Command lines that nobody would type. A trap ends the process of the tests; every seed is told before it is tried.
@Suite(.timeLimit(.minutes(5))) struct CommandFuzzTests {
    /// The words of one command: how it is called, and its options, as its help tells them.
    private struct Words: Sendable {
        let command: [String]
        let options: [String]
    }

    private struct Scene: Sendable {
        let desk: Desk
        let commands: [Words]
        /// What can stand in the place of a value: names, ids and files that exist.
        let values: [String]
    }

    private static let scene = Task { try await makeScene() }

    private static func makeScene() async throws -> Scene {
        let desk = try Desk()
        var values: [String] = []
        try await desk.hosting { engine in
            for workflow in ["wait", "doubt", "ship"] {
                let input = workflow == "ship" ? #"{"item":"tea","amount":7}"# : "{}"
                let run = try await desk.start(engine, workflow, input)
                try await desk.until(run) { record, _ in [.waiting, .parked].contains(record.state) }
                values.append(run)
            }
        }
        let file = desk.folder.appending(path: "histories.jsonl").path
        let exported = await desk.type("export-history", "--out", file)
        #expect(exported.status == .success)
        values += [
            file, desk.folder.path, desk.path, "/dev/null", "greet", "1", "2.1", "send", "charge", "go", "finance", "{}", "1d",
        ]
        return Scene(desk: desk, commands: await commands(below: [], at: desk), values: values)
    }

    /// The commands that the help of this one lists, with those below them.
    private static func commands(below command: [String], at desk: Desk) async -> [Words] {
        var found: [Words] = []
        for name in commandNames(await desk.type(command + ["--help"]).output).sorted() {
            let own = command + [name], below = await commands(below: own, at: desk)
            let text = await desk.type(own + ["--help"]).output
            let options = Set(text.matches(of: /--[a-z][a-z-]*/).map { String($0.output) })
            found +=
                below.isEmpty ? [Words(command: own, options: options.subtracting(["--help", "--version"]).sorted())] : below
        }
        return found
    }

    /// The commands that a help lists.
    private static func commandNames(_ help: String) -> Set<String> {
        var names: Set<String> = [], isList = false
        for line in help.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("SUBCOMMANDS") { isList = true }
            guard isList, line.hasPrefix("  "), !line.hasPrefix("   "), let name = line.split(separator: " ").first else {
                continue
            }
            names.insert(String(name))
        }
        return names.subtracting(["help", "See"])
    }

    @Test func `every command and its options are tried`() async throws {
        let commands = try await Self.scene.value.commands
        #expect(commands.count >= 24 && commands.contains { $0.command == ["schedules", "backfill"] })
        #expect(commands.allSatisfy { !$0.options.isEmpty }, "\(commands)")
    }

    @Test(arguments: Damage.seeds(0..<8).map { $0 * 1_000 })
    func `whatever is typed, a command ends with a status that its help tells, and says why`(first: UInt64) async throws {
        let scene = try await Self.scene.value
        for seed in Damage.seeds(first..<first + 15) {
            var damage = Damage(seed: seed)
            let words = scene.commands[Int(seed / 1_000 * 15 + seed % 1_000) % scene.commands.count]
            let arguments = Self.line(words, scene, &damage)
            let input = damage.text()
            print("commands, seed \(seed): \(arguments)")
            let reply = await Self.type(arguments, input, at: scene.desk)
            if reply.status != .success, reply.status != .failed {
                #expect(!reply.errors.isEmpty, "seed \(seed): \(arguments) ends with \(reply.status) and says nothing")
            }
            // Errors that are nobody's are shown by the parser, with the name of their type.
            #expect(!reply.errors.contains("The operation could"), "seed \(seed): \(arguments): \(reply.errors)")
        }
    }

    /// Whatever would wait for somebody is told at once that nobody will come.
    private static func type(_ arguments: [String], _ input: String, at desk: Desk) async -> Desk.Reply {
        let task = Task {
            await desk.type(arguments, input: input, answer: "yes") { environment in
                // What hosts workflows would go on for ever.
                if arguments.first == "run" || arguments.first == "start" {
                    environment.openStore = { _ in
                        StoreConfiguration { _ throws(StoreError) in throw .unavailable("there is none") }
                    }
                }
            }
        }
        task.cancel()
        return await task.value
    }

    private static func line(_ words: Words, _ scene: Scene, _ damage: inout Damage) -> [String] {
        var line = words.command
        for _ in 0..<damage.number(below: 5) {
            switch damage.number(below: 5) {
            case 0: line.append(damage.pick(scene.values))
            case 1: line.append(value(scene, &damage))
            default:
                let option = damage.pick(words.options)
                if damage.chance(5) { line.append("\(option)=\(value(scene, &damage))") } else { line.append(option) }
                if damage.chance(2) { line.append(value(scene, &damage)) }
            }
        }
        if damage.chance(10) { line.remove(at: damage.number(below: line.count)) }
        // The words after a run are the ones that matter: without one most commands end early.
        if damage.chance(2) { line.insert(damage.pick(Array(scene.values.prefix(3))), at: min(words.command.count, line.count)) }
        return line
    }

    private static func value(_ scene: Scene, _ damage: inout Damage) -> String {
        switch damage.number(below: 6) {
        case 0: damage.pick(scene.values)
        case 1: String(damage.integer())
        case 2: damage.json().canonicalText
        case 3: "\(damage.integer())\(damage.pick(["d", "h", "m", "s", "ms", "w", "y", ""]))"
        case 4: "\(damage.text())=\(damage.text())"
        default: damage.text()
        }
    }
}
