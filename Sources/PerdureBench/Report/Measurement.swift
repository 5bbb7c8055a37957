/// One figure, with the same work written by hand beside it.
package struct Measurement: Sendable, Encodable {
    /// What is aimed at.
    package enum Budget: Sendable {
        case atMost(Double)
        case atLeast(Double)
        /// Of the hand-written program's figure.
        case ratioAtMost(Double)
        case ratioAtLeast(Double)
    }

    /// The letter of the benchmark.
    package var id: String
    package var what: String
    package var value: Double
    package var unit: String
    /// The same figure of the hand-written program; nil where there is nothing to write by hand.
    package var handwritten: Double?
    /// Processor time for one run, in milliseconds.
    package var cpuMilliseconds: Double?
    /// Waits for the disk for one run.
    package var syncs: Double?
    /// How many runs were measured, all rounds together.
    package var runs: Int
    package var budgets: [Budget]

    init(
        _ id: Benchmark, _ what: String, _ value: Double, _ unit: String, handwritten: Double? = nil, cpu: Double? = nil,
        syncs: Double? = nil, runs: Int, budgets: [Budget] = []
    ) {
        self.id = id.rawValue
        self.what = what
        self.value = value
        self.unit = unit
        self.handwritten = handwritten
        cpuMilliseconds = cpu
        self.syncs = syncs
        self.runs = runs
        self.budgets = budgets
    }

    /// The engine's figure divided by the hand-written program's.
    package var ratio: Double? {
        guard let handwritten, handwritten != 0 else { return nil }
        return value / handwritten
    }

    /// Whether a budget is kept; nil if its figure is missing.
    func keeps(_ budget: Budget) -> Bool? {
        switch budget {
        case .atMost(let limit): value <= limit
        case .atLeast(let limit): value >= limit
        case .ratioAtMost(let limit): ratio.map { $0 <= limit }
        case .ratioAtLeast(let limit): ratio.map { $0 >= limit }
        }
    }

    private enum CodingKeys: String, CodingKey {
        case id, what, value, unit, handwritten, ratio, syncs, runs
        case cpuMilliseconds = "cpu_ms"
    }

    /// Every key is there, with null for what was not measured.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(what, forKey: .what)
        try container.encode(value, forKey: .value)
        try container.encode(unit, forKey: .unit)
        try container.encode(handwritten, forKey: .handwritten)
        try container.encode(ratio, forKey: .ratio)
        try container.encode(cpuMilliseconds, forKey: .cpuMilliseconds)
        try container.encode(syncs, forKey: .syncs)
        try container.encode(runs, forKey: .runs)
    }
}
