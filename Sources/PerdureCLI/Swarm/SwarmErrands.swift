import Perdure
import PerdureEngine

/// What is sent to runs from outside, a while after they were started.
struct SwarmErrands {
    private enum Errand {
        case signal(RunID, String)
        case cancel(RunID)

        var run: RunID {
            switch self {
            case .signal(let run, _), .cancel(let run): run
            }
        }
    }

    /// By the tick at which it is due.
    private var due: [Int: [Errand]] = [:]
    private var tick = 0
    private var random: SeededGenerator
    private let seed: UInt64
    /// The signals that each run was sent, by their ids.
    private var sent: [RunID: Set<String>] = [:]
    /// How many signals each run was sent.
    var signals: [RunID: Int] { sent.mapValues(\.count) }
    private(set) var cancellations = 0

    init(seed: UInt64) {
        self.seed = seed
        random = SeededGenerator(seed: seed &+ 1)
    }

    var isEmpty: Bool { due.isEmpty }

    mutating func plan(for fresh: [(number: Int, run: RunID)]) {
        for (number, run) in fresh {
            for signal in 0..<ShapeMaker.shape(of: number, seed: seed).signals {
                due[tick + Int.random(in: 0...40, using: &random), default: []].append(.signal(run, "nudge-\(signal)"))
            }
            if Int.random(in: 0..<100, using: &random) < 5 {
                due[tick + Int.random(in: 0...20, using: &random), default: []].append(.cancel(run))
            }
        }
    }

    /// These runs are not there any more.
    mutating func forget(_ runs: Set<RunID>) {
        for tick in due.keys { due[tick]?.removeAll { runs.contains($0.run) } }
        due = due.filter { !$0.value.isEmpty }
        for run in runs { sent[run] = nil }
    }

    /// Sends these runs every signal once more: some may be lost, and those that are not are recognised.
    mutating func repeatSignals(to runs: some Sequence<(key: Int, value: RunID)>) {
        for (number, run) in runs {
            for signal in 0..<ShapeMaker.shape(of: number, seed: seed).signals {
                due[tick + 1, default: []].append(.signal(run, "nudge-\(signal)"))
            }
        }
    }

    /// Sends what is due.
    ///
    /// - Throws: if the store does not take it. It is sent again at the next tick then, under the same id.
    mutating func run(on client: Client) async throws {
        tick += 1
        var ready = due.keys.filter { $0 <= tick }.sorted().flatMap { due.removeValue(forKey: $0) ?? [] }[...]
        while let errand = ready.first {
            do {
                try await send(errand, client)
            } catch let error as PerdureError where error.code == .runClosed {
            } catch {
                due[tick + 1, default: []] += ready
                throw error
            }
            ready.removeFirst()
        }
    }

    private mutating func send(_ errand: Errand, _ client: Client) async throws {
        switch errand {
        case .signal(let run, let id):
            try await client.signal(run, SwarmRun.Nudge.self, 1, id: id, by: Principal(.human, "swarm"))
            sent[run, default: []].insert(id)
        case .cancel(let run):
            try await client.cancel(run, by: Principal(.human, "swarm"))
            cancellations += 1
        }
    }
}
