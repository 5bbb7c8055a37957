/// The benchmarks by their letters. What they are for is told in `docs/performance.md`.
package enum Benchmark: String, Sendable, CaseIterable {
    case a, b, c, d, e, f, g, h, i, j

    /// Those that can be measured on a kind of store, in their order.
    package static func all(on kind: BenchKind) -> [Benchmark] {
        // Only one process at a time can have an embedded store.
        allCases.filter { $0 != .h || kind == .postgres }
    }

    package var title: String {
        switch self {
        case .a: "one workflow at a time"
        case .b: "many workflows at once"
        case .c: "one run with many parallel steps"
        case .d: "runs that wait"
        case .e: "timers that are due together"
        case .f: "killed in the middle, started again"
        case .g: "one long run"
        case .h: "several nodes"
        case .i: "start of the process"
        case .j: "processor time of a workflow"
        }
    }
}

/// How much is done, and where.
package struct BenchSettings: Sendable {
    package var only = Benchmark.allCases
    /// For files beside the stores.
    package var folder: String
    /// How often the engine and the hand-written program take turns.
    package var rounds = 3
    /// Small numbers, to see that everything works. What comes out says nothing about speed.
    package var isQuick = false
    /// Whether the million waiting runs and the million events, which take minutes, are left out.
    package var isWithoutMillions = false
    /// This program, which is started again where a benchmark is about a process.
    package var executable: String
    /// Told what is being done, for people who wait.
    package var progress: @Sendable (String) -> Void = { _ in }

    /// Where the stores are made.
    var ground: BenchGround

    package init(folder: String, executable: String) {
        ground = .folder(folder)
        self.folder = folder
        self.executable = executable
    }

    var kind: BenchKind { ground.kind }

    /// The number of things for a full benchmark, or less.
    func scaled(_ full: Int, quick: Int) -> Int { isQuick ? quick : full }
}

/// The measured work was not done as it should have been, so there is no figure.
package struct BenchError: Error, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }

    static func check(_ isTrue: Bool, _ message: @autoclosure () -> String) throws {
        if !isTrue { throw BenchError(message()) }
    }
}
