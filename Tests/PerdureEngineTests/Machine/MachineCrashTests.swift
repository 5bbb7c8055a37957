import Perdure
import PerdureHistory
import Testing

@testable import PerdureEngine

/// A process may be lost after any event, and between sending and answer. The history alone has to be enough.
@Suite struct MachineCrashTests {
    @Test(arguments: Program.all)
    func `a program that nothing disturbs keeps its promises`(_ program: Program) throws {
        let run = try undisturbed(program)
        #expect(run.violations() == [])
        #expect(run.machine.isClosed)
    }

    @Test(arguments: Program.all)
    func `a crash after any event, before or after what was sent by then, breaks no promise`(_ program: Program) throws {
        let whole = try undisturbed(program)
        for count in 1..<whole.history.count {
            // What was sent when the last event was the newest one may have been sent before the crash, or not.
            for isSent in [true, false] {
                let calls = whole.calls.filter { isSent ? $0.seq <= count : $0.seq < count }
                for passes in [Duration.zero, .minutes(6), .days(3)] {
                    let run = MachineDriver(
                        program.code, build: "build-a", history: Array(whole.history.prefix(count)), calls: calls)
                    run.outcomes = program.outcomes
                    run.now = run.now + passes
                    run.adoptKeys()
                    try run.crash()
                    try run.playToTheEnd()
                    #expect(run.violations() == [], "crash after event \(count), \(passes) later: \(run.historyText)")
                }
            }
        }
    }

    // Promise: 4
    @Test(arguments: Program.all)
    func `a history that goes back to any commit, whatever was sent since, breaks no promise`(_ program: Program) throws {
        let commits = try undisturbed(program).commits.dropLast()
        for (index, count) in commits.enumerated() {
            for isTakeover in [true, false] {
                for passes in [Duration.zero, .days(3)] {
                    let run = try undisturbed(program)
                    run.now = run.now + passes
                    try run.restore(to: count, build: index.isMultiple(of: 2) ? "build-b" : nil, isTakeover: isTakeover)
                    try run.playToTheEnd()
                    let found = run.violations() + run.problems()
                    #expect(found == [], "back to event \(count), \(passes) later: \(run.historyText)")
                }
            }
        }
    }

    @Test(arguments: Program.all)
    func `a crash after every commit breaks no promise`(_ program: Program) throws {
        let run = try MachineDriver(program.code)
        run.outcomes = program.outcomes
        var crashes = 0
        while !run.machine.isClosed, crashes < 40 {
            let count = run.history.count
            try run.crash(build: crashes.isMultiple(of: 3) ? "build-b" : "build-a")
            crashes += 1
            // One thing comes about in each life.
            for _ in 0..<4 where run.history.count <= count + 1 && !run.machine.isClosed {
                guard try run.playOneThing() else { break }
                try run.settle()
            }
        }
        try run.playToTheEnd()
        #expect(run.violations() == [])
    }

    @Test(arguments: Program.all)
    func `a run that is handed over whenever nothing is in flight keeps its promises`(_ program: Program) throws {
        let run = try MachineDriver(program.code)
        run.outcomes = program.outcomes
        for _ in 0..<200 where !run.machine.isClosed {
            if run.running.isEmpty { try run.handOver() } else { _ = try run.playOneThing() }
            try run.settle()
            if run.running.isEmpty, !run.machine.isClosed {
                _ = try run.playOneThing()
                try run.settle()
            }
        }
        #expect(run.machine.isClosed)
        #expect(run.violations() == [])
    }

    @Test(arguments: Program.all)
    func `commits that the store refuses change nothing`(_ program: Program) throws {
        let smooth = try undisturbed(program)
        let run = try MachineDriver(program.code)
        run.outcomes = program.outcomes
        for _ in 0..<400 where !run.machine.isClosed {
            run.refusals = 2
            try run.settle()
            if run.machine.isClosed { break }
            _ = try run.playOneThing()
        }
        #expect(run.historyText == smooth.historyText)
        #expect(run.violations() == [])
    }

    @Test(arguments: Program.all)
    func `a run that is reset after any event, and loses its process on the way, breaks no promise`(_ program: Program) throws {
        let whole = try undisturbed(program)
        guard whole.history.count > 2 else { return }
        for count in 2..<whole.history.count {
            for (index, choice) in ResetChoice.allCases.enumerated() {
                for to in Set([1, count / 2, count - 1]).sorted() {
                    let run = MachineDriver(
                        program.code, build: "build-a", history: Array(whole.history.prefix(count)),
                        calls: whole.calls.filter { $0.seq <= count })
                    run.outcomes = program.outcomes
                    run.adoptKeys()
                    try run.crash()
                    try run.reset(to: Int64(to), choice)
                    if !run.machine.isClosed { try run.crash(build: index == 0 ? "build-b" : nil) }
                    for _ in 0..<6 where !run.machine.isClosed {
                        guard try run.playOneThing() else { break }
                        try run.settle()
                        if !run.machine.isClosed { try run.crash() }
                    }
                    try run.playToTheEnd()
                    #expect(run.problems() == [], "reset to \(to) after event \(count), \(choice): \(run.historyText)")
                }
            }
        }
    }

    @Test(arguments: Program.all)
    func `a run that is forked at any event, and its fork again, break no promise, wherever their process is lost`(
        _ program: Program
    )
        throws
    {
        let whole = try undisturbed(program)
        for seq in 1...whole.history.count {
            let fork = try whole.fork(at: seq)
            try crashEverywhere(fork)
            #expect(fork.problems() == [] && fork.violations() == [], "forked at \(seq): \(fork.historyText)")
            let next = try fork.fork(at: (seq + fork.history.count) / 2)
            try crashEverywhere(next)
            #expect(next.problems() == [] && next.violations() == [], "forked at \(seq) and again: \(next.historyText)")
        }
    }

    private func crashEverywhere(_ run: MachineDriver) throws {
        for _ in 0..<6 where !run.machine.isClosed {
            try run.crash()
            guard !run.machine.isClosed, try run.playOneThing() else { break }
            try run.settle()
        }
        try run.playToTheEnd()
    }

    @Test(arguments: Program.all)
    func `a run that is reset twice, the second time past the first, breaks no promise`(_ program: Program) throws {
        let whole = try undisturbed(program)
        guard whole.history.count > 2 else { return }
        for count in 2..<whole.history.count {
            for first in ResetChoice.allCases {
                for second in ResetChoice.allCases {
                    let run = MachineDriver(
                        program.code, build: "build-a", history: Array(whole.history.prefix(count)),
                        calls: whole.calls.filter { $0.seq <= count })
                    run.outcomes = program.outcomes
                    run.adoptKeys()
                    try run.crash()
                    let to = Int64(count / 2)
                    for choice in [first, second] {
                        try run.reset(to: to, choice)
                        for _ in 0..<4 where !run.machine.isClosed {
                            guard try run.playOneThing() else { break }
                            try run.settle()
                        }
                        if run.machine.isClosed { break }
                    }
                    try run.playToTheEnd()
                    #expect(
                        run.problems() == [], "reset to \(to) after event \(count), \(first) and \(second): \(run.historyText)")
                }
            }
        }
    }

    private func undisturbed(_ program: Program) throws -> MachineDriver {
        let run = try MachineDriver(program.code)
        run.outcomes = program.outcomes
        try run.playToTheEnd()
        return run
    }
}
