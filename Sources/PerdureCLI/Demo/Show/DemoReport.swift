/// What the demo came to.
package struct DemoReport: Codable, Sendable {
    /// The figures of one operation.
    package struct Operation: Codable, Sendable {
        package var wanted = 0
        package var requests = 0
        package var counted = 0
    }

    package var seed: UInt64 = 0
    package var defences = true
    package var seconds = 0.0
    package var kills = 0
    package var killsByBoundary: [String: Int] = [:]
    /// Boundaries that were aimed at and not met.
    package var missed: [String] = []
    package var effectsWanted = 0
    package var effectsCounted = 0
    package var requestsReceived = 0
    package var duplicates = 0
    package var lost = 0
    /// How often a run was taken over from a dead process.
    package var resumed = 0
    /// Steps whose request was sent again, with the same key.
    package var stepsResumed = 0
    package var inDoubt = 0
    /// How steps in doubt were settled: who found out what.
    package var settled: [String: Int] = [:]
    package var runs = 0
    package var runsFinished = 0
    package var events = 0
    package var historiesVerified = 0
    package var operations: [String: Operation] = [:]

    /// Every effect happened once, every run came to its end, and every boundary was met.
    package var isGood: Bool {
        duplicates == 0 && lost == 0 && missed.isEmpty && runsFinished == runs && historiesVerified == runs
            && Boundary.allCases.allSatisfy { killsByBoundary[$0.rawValue, default: 0] > 0 }
    }

    mutating func add(_ operation: String, wanted: Int, counted: Int) {
        operations[operation, default: Operation()].wanted += wanted
        operations[operation, default: Operation()].counted += counted
    }

    mutating func addRequest(_ operation: String) { operations[operation, default: Operation()].requests += 1 }

    package init() {}
}
