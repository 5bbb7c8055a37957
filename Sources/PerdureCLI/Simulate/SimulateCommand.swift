import ArgumentParser
import Foundation

/// Many seeds of whole clusters in virtual time, each with its own faults.
struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Lets whole clusters live and die in virtual time, one for each seed.",
        discussion: """
            A seed decides everything: the nodes, what their clocks say, the runs, the order in which things are done, what fails and \
            when. The engine's own code runs over a store in memory. Afterwards nothing may be lost, nothing may have happened twice, \
            and every history has to hold together. A seed that goes wrong is made smaller and told as a story. The last line is one \
            JSON object. Exit code 0 says that nothing went wrong, and, from \(Self.enough) seeds on, that everything met every fault \
            that it can meet.
            """)

    /// So many seeds bring together whatever can come together.
    static let enough = 10_000

    @Option(help: "How many seeds.") var seeds = 1_000
    @Option(help: "The first seed.") var first: UInt64 = 1
    @Option(help: "Only this seed, with everything that happens.") var seed: UInt64?
    @Option(
        help: ArgumentHelp("Take out a defence, to see that the counting works: keys, intents or probes.", visibility: .hidden))
    var without: String?
    @Option(help: "How many milliseconds the nodes' clocks may be behind the store's time, and jump back.") var behind = 1_500
    @Option(help: "How many milliseconds they may be ahead, and jump forward.") var ahead = 1_500
    @Flag(help: "Print the JSON object and nothing else.") var json = false

    func validate() throws {
        for (name, value) in [("behind", behind), ("ahead", ahead)] where !(0...2_000).contains(value) {
            throw ValidationError("--\(name) has to be from 0 to 2000.")
        }
        guard (1...100_000_000).contains(seeds) else { throw ValidationError("--seeds has to be from 1 to 100000000.") }
        if let without, SwarmDefence(rawValue: without) == nil { throw ValidationError("'\(without)' is no defence.") }
    }

    private func plan(_ seed: UInt64) -> SimulationPlan {
        SimulationPlan(seed: seed, skew: -behind...ahead, without: without.flatMap(SwarmDefence.init))
    }

    func run() async throws {
        if let seed { return try await replay(seed) }
        let tally = try await tally()
        if !json {
            for line in tally.table.text { print(line) }
            for verdict in tally.wrong.prefix(3) { try await tell(verdict) }
        }
        let missing = seeds >= Self.enough ? tally.table.missing(withClocks: behind + ahead > 0) : []
        if !json, !missing.isEmpty { print("These never came together: \(missing.joined(separator: ", ")).") }
        print(tally.json)
        guard tally.wrong.isEmpty, missing.isEmpty else { throw ExitCode(1) }
    }

    /// Each simulation has a thread of its own, so as many are under way as there are cores.
    private func tally() async throws -> SimulationTally {
        let begin = ContinuousClock.now, end = first + UInt64(seeds)
        var tally = SimulationTally(), next = first
        try await withThrowingTaskGroup(of: SeedVerdict.self) { group in
            func add() {
                guard next < end else { return }
                let seed = next
                next += 1
                let plan = plan(seed)
                group.addTask { try await Self.verdict(plan) }
            }
            for _ in 0..<ProcessInfo.processInfo.activeProcessorCount { add() }
            while let verdict = try await group.next() {
                tally.add(verdict)
                if !json, !verdict.violations.isEmpty { printAtOnce("seed \(verdict.plan.seed): \(verdict.violations[0])") }
                if !json, tally.seeds.isMultiple(of: 1_000) { printAtOnce("\(tally.seeds) seeds") }
                add()
            }
        }
        let time = (ContinuousClock.now - begin).components
        tally.seconds = Double(time.seconds) + Double(time.attoseconds) / 1e18
        return tally
    }

    /// Some seeds are played twice: the second time everything has to be the same.
    private static func verdict(_ plan: SimulationPlan) async throws -> SeedVerdict {
        var verdict = try await SeedVerdict.of(plan)
        if plan.seed.isMultiple(of: 50), try await SeedVerdict.of(verdict.plan).digest != verdict.digest {
            verdict.violations.append("it does not come to the same when it is played again")
        }
        return verdict
    }

    private func tell(_ verdict: SeedVerdict) async throws {
        print("\nSeed \(verdict.plan.seed) goes wrong:")
        for violation in verdict.violations.prefix(10) { print("  \(violation)") }
        var shrinker = Shrinker()
        let small = try await SeedVerdict.of(try await shrinker.shrink(verdict.plan), tells: true)
        print("Made smaller:")
        for line in small.plan.story + small.story + small.violations.map({ "WRONG: \($0)" }) { print("  \(line)") }
    }

    private func replay(_ seed: UInt64) async throws {
        let verdict = try await SeedVerdict.of(plan(seed), tells: true)
        if !json {
            for line in verdict.plan.story + verdict.story { print(line) }
            for violation in verdict.violations { print("WRONG: \(violation)") }
            if !verdict.violations.isEmpty { try await tell(verdict) }
        }
        var tally = SimulationTally()
        tally.add(verdict)
        print(tally.json)
        if !verdict.violations.isEmpty { throw ExitCode(1) }
    }
}

/// What many seeds came to.
struct SimulationTally {
    var seeds = 0
    var violations = 0
    var counts = SimulationCounts()
    var seconds = 0.0
    var table = FaultTable()
    var wrong: [SeedVerdict] = []

    mutating func add(_ verdict: SeedVerdict) {
        seeds += 1
        violations += verdict.violations.count
        counts += verdict.counts
        table.add(verdict.table)
        if !verdict.violations.isEmpty { wrong.append(verdict) }
    }

    var json: String {
        """
        {"seeds":\(seeds),"violations":\(violations),"runs":\(counts.runs),"events":\(counts.events),"crashes":\(counts.crashes),\
        "freezes":\(counts.freezes),"stops":\(counts.stops),"decisions":\(counts.decisions),\
        "seconds":\((seconds * 10).rounded() / 10)}
        """
    }
}
