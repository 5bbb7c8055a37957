import ArgumentParser
import Foundation

/// Several nodes on one PostgreSQL under load, and everything that happens to such a cluster, again and again.
struct FailuresCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "failures", abstract: "Lets nodes and servers fail under thousands of runs, on PostgreSQL.",
        discussion: """
            Several processes share a database and thousands of runs of random shapes, as in 'swarm'. Nodes are killed, stopped for \
            longer than their lease, cut off, given a wrong clock, and replaced by another release; their code traps; the server is \
            restarted, killed, left without room on its disk, and replaced by its synchronous replica. The other side counts. At the end every run has closed, every effect happened as often as its \
            history, its result and its shape say, and every history, row and family holds together. Exit code 0 says so; 1 says \
            that it is not true. Replicas that were behind and older copies that are put in place (promotion_async, restore) are left out \
            unless they are named: what was lost with them is known to no history. Needs the programs of PostgreSQL, and Linux; for some faults a C compiler, or root.
            """)

    @Option(help: "How many runs are started; children come on top.") var runs = 10_000
    @Option(help: "How many faults there are at least.") var faults = 200
    @Option(help: "How many nodes.") var nodes = 4
    @Option(help: "Decides shapes, misfortunes and faults.") var seed: UInt64 = 1
    @Option(help: "Only these faults, with commas between them: \(Self.kinds).") var only: String?
    @Option(
        help: ArgumentHelp("Take out a defence, to see that the counting works: \(Self.defences).", visibility: .hidden))
    var without: String?
    @Flag(help: ArgumentHelp("Show what the nodes say.", visibility: .hidden)) var heard = false
    @Flag(help: "Print the last line, a JSON object, and nothing else.") var json = false

    private static let kinds = ClusterFault.weights.map(\.0.rawValue).joined(separator: ", ")
    private static let defences = SwarmDefence.allCases.map(\.rawValue).joined(separator: ", ")

    func validate() throws {
        guard (1...1_000_000).contains(runs) else { throw ValidationError("--runs has to be from 1 to 1000000.") }
        guard (1...100_000).contains(faults) else { throw ValidationError("--faults has to be from 1 to 100000.") }
        guard (2...16).contains(nodes) else { throw ValidationError("--nodes has to be from 2 to 16.") }
        for fault in try chosen() where only != nil {
            if let obstacle = MachineTools().obstacle(to: fault) { throw ValidationError("\(fault.rawValue): \(obstacle).") }
        }
        if let without, SwarmDefence(rawValue: without) == nil {
            throw ValidationError("'\(without)' is no defence; there are \(Self.defences).")
        }
    }

    private func chosen() throws -> [ClusterFault] {
        guard let only else { return ClusterFault.usual }
        return try only.split(separator: ",").map { word in
            let name = word.trimmingCharacters(in: .whitespaces)
            guard let fault = ClusterFault.weights.map(\.0).first(where: { $0.rawValue == name }) else {
                throw ValidationError("'\(name)' is no fault; there are \(Self.kinds).")
            }
            return fault
        }
    }

    func run() async throws {
        // Not below TMPDIR, which may be another user's alone; and the path of a socket must be short.
        let name = "perdure-failures-\(UUID().uuidString.lowercased().prefix(8))"
        let folder = URL(fileURLWithPath: "/tmp").appending(path: name)
        var settings = FailureSettings(runs: runs, faults: faults, nodes: nodes, seed: seed, folder: folder)
        settings.kinds = []
        for fault in try chosen() {
            if let obstacle = settings.tools.obstacle(to: fault) {
                try? FileHandle.standardError.write(contentsOf: Data("\(fault.rawValue) is left out: \(obstacle)\n".utf8))
            } else {
                settings.kinds.append(fault)
            }
        }
        settings.without = without.flatMap(SwarmDefence.init)
        settings.isHeard = heard
        let isQuiet = json, chosen = settings
        // Servers, nodes and files are gone when somebody has ended it.
        let ended = try await unlessInterrupted { try await FailureTrial.run(chosen) { if !isQuiet { printAtOnce($0) } } }
        guard let report = ended else { throw ExitCode(130) }
        print(try report.reportLine)
        if !report.isGood { throw ExitCode(1) }
    }
}
