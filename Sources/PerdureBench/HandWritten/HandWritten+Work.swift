// The work of the benchmarks, by hand.
extension HandWritten {
    /// One run, every row in a commit of its own. Returns how long each step took, and all of it.
    func oneByOne(_ run: Int, steps: Int) throws -> (steps: [Double], run: Double) {
        var stepSeconds: [Double] = []
        let start = Usage.now.time
        try transaction { try create(run) }
        var last = Usage.now.time
        for step in 0..<steps {
            try transaction { try append(run, 2 + step) }
            let now = Usage.now.time
            stepSeconds.append(now - last)
            last = now
        }
        try transaction {
            try append(run, steps + 2)
            try complete(run)
        }
        return (stepSeconds, Usage.now.time - start)
    }

    /// All runs side by side: first the first event of each, then the second. So many rows share a commit.
    func together(_ runs: Int, events: Int, group: Int) throws {
        let total = runs * events, group = max(1, group)
        for first in stride(from: 0, to: total, by: group) {
            try transaction {
                for place in first..<min(first + group, total) {
                    let (seq, run) = (place / runs + 1, place % runs + 1)
                    if seq == 1 { try create(run) } else { try append(run, seq) }
                    if seq == events { try complete(run) }
                }
            }
        }
        try BenchError.check(
            try completedRuns() == runs && eventCount() == total, "the hand-written program did not write everything")
    }

    /// One run, its steps in groups.
    func fan(steps: Int, group: Int) throws {
        try transaction { try create(1) }
        for first in stride(from: 0, to: steps, by: max(1, group)) {
            try transaction { for step in first..<min(first + max(1, group), steps) { try append(1, 2 + step) } }
        }
        try transaction {
            try append(1, steps + 2)
            try complete(1)
        }
        try BenchError.check(
            try completedRuns() == 1 && eventCount() == steps + 2, "the hand-written program did not write everything")
    }

    /// Runs that are written and left to wait.
    func park(_ runs: Int, group: Int) throws {
        for first in stride(from: 1, through: runs, by: max(1, group)) {
            let range = first..<min(first + max(1, group), runs + 1)
            try transaction { for run in range { try create(run) } }
            try transaction { for run in range { try wait(run) } }
        }
    }

    /// Every run gets its message, takes it in and completes.
    func wake(_ runs: Int, events: Int, group: Int) throws {
        for first in stride(from: 1, through: runs, by: max(1, group)) {
            let range = first..<min(first + max(1, group), runs + 1)
            try transaction { for run in range { try deliver(run) } }
            try transaction {
                for run in range {
                    try readInbox(run)
                    for seq in 2...events { try append(run, seq) }
                    try complete(run)
                }
            }
        }
        try BenchError.check(try completedRuns() == runs, "the hand-written program did not complete every run")
    }

    /// Waits for each moment (seconds of the process's clock, in order) and writes what is due by then in one commit. Returns how late
    /// each was durable.
    func timers(due moments: [Double], pause: (Double) -> Void) throws -> [Double] {
        var late: [Double] = [], next = 0
        while next < moments.count {
            let now = Usage.now.time
            if moments[next] > now {
                pause(moments[next] - now)
                continue
            }
            let first = next
            while next < moments.count, moments[next] <= now { next += 1 }
            try transaction {
                for run in first..<next {
                    try append(run + 1, 3)
                    try append(run + 1, 4)
                    try complete(run + 1)
                }
            }
            let end = Usage.now.time
            late += moments[first..<next].map { end - $0 }
        }
        return late
    }
}
