import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import PerdureTesting
import Synchronization

/// Two workflows over a disk that may fail, the other side, and somebody who drives them: starts them, sends what they wait for, looks
/// after what is in doubt, and does again whatever was not confirmed.
final class Errands: Sendable {
    /// How the life of one process ends.
    enum End: Sendable {
        /// Both runs are closed; what is wrong with them.
        case closed(problems: [String])
        /// The store was not opened, or the engine has ended by itself.
        case failed(any Error)
        /// Somebody killed it, some time after the disk had failed.
        case killed
        /// It goes on and gets nowhere.
        case standstill(String)
    }

    let disk: FaultyDisk
    /// What has happened on the other side, and what was confirmed to the driver, in order.
    private let lines: Mutex<[String]>
    private let onNote: @Sendable (String) -> Void

    /// - Parameters:
    ///   - lines: What was known outside before.
    ///   - onNote: Called with everything that is said or done outside.
    init(_ disk: FaultyDisk, lines: [String] = [], onNote: @escaping @Sendable (String) -> Void = { _ in }) {
        self.disk = disk
        self.onNote = onNote
        self.lines = Mutex(lines)
    }

    func note(_ line: String) {
        lines.withLock { $0.append(line) }
        disk.note(line)
        onNote(line)
    }

    var all: [String] { lines.withLock { $0 } }
    func stands(_ effect: String) -> Bool { all.contains(effect) }

    private static let ada = Principal(.human, "ada"), bob = Principal(.human, "bob")
    private static let step = Duration.minutes(2), patience = 60

    // MARK: A process

    /// One process, from its start to its end.
    /// - Parameters:
    ///   - opening: What fails while the engine is made.
    ///   - working: What fails from then on.
    ///   - whenBroken: What somebody does half a minute after a failure. True kills the process.
    func live(
        from start: Timestamp, opening: DiskFault? = nil, working: DiskFault? = nil,
        whenBroken: @escaping @Sendable () -> Bool = { false }
    ) async throws -> End {
        let simulation = Simulation(start: start)
        return try await simulation.run { [self] in
            let process = simulation.process("node")
            let engine: Engine
            disk.fail(opening)
            do {
                engine = try await open(process, simulation)
            } catch {
                return .failed(error)
            }
            disk.fail(working)
            process.start(engine)
            let killed = Flag()
            return try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { [self] in
                    while !disk.hasFailed { try await simulation.sleep(for: .seconds(30)) }
                    try await simulation.sleep(for: .seconds(30))
                    guard whenBroken() else { return }
                    killed.raise()
                    process.crash()
                }
                let end = try await drive(process, engine, simulation) { killed.isRaised }
                group.cancelAll()
                while let result = await group.nextResult() { _ = result }
                return end
            }
        }
    }

    private func drive(
        _ process: SimulatedProcess, _ engine: Engine, _ simulation: Simulation, isKilled: () -> Bool
    ) async throws -> End {
        var last = "nothing was refused"
        for _ in 0..<Self.patience {
            do {
                if let problems = try await act(engine) {
                    await process.shutDown()
                    return .closed(problems: problems)
                }
            } catch let error as PerdureError {
                last = "\(error)"
            }
            if isKilled() { return .killed }
            if process.hasEnded { return .failed(process.failure ?? PerdureError(.engineStopped, "for no reason")) }
            try await simulation.sleep(for: Self.step)
        }
        process.crash()
        return .standstill(last)
    }

    private func open(_ process: SimulatedProcess, _ simulation: Simulation) async throws -> Engine {
        var configuration = process.configured()
        configuration.verificationRate = 0
        let file = StoreConfiguration.sqlite(disk.path) { simulation.now }
        return try await Engine(
            store: process.store(file, isThreaded: true), configuration: configuration,
            logger: process.logger(Logger(label: "perdure.test") { _ in SwiftLogNoOpLogHandler() })
        ) {
            Errand(errands: self)
            Detour(errands: self)
        }
    }

    // MARK: The driver

    /// Does what is due, and what was not confirmed so far.
    /// - Returns: What is wrong with the two runs, once both are closed.
    private func act(_ engine: Engine) async throws -> [String]? {
        let errand = try await started(Errand.self, engine), detour = try await started(Detour.self, engine)
        if !stands("signalled") {
            try await engine.client.signal(errand, Poke.self, "go", id: "once", by: Self.ada)
            note("signalled")
        }
        let records = [try await engine.client.record(errand), try await engine.client.record(detour)]
        if records[0].state == .parked {
            // The truth, as a person finds it on the other side.
            try await engine.client.resolve(
                errand, step: "pay", stands("pay") ? .happened(result: nil) : .didNotHappen, by: Self.bob)
        }
        guard records.allSatisfy(\.state.isFinal) else { return nil }
        var problems: [String] = []
        for record in records {
            let events = try await engine.client.history(of: record.id)
            problems += HistoryVerifier.verify(record, events).problems.map(\.message)
            problems += StateContinuity(events).problems.map(\.message)
        }
        // It reads every page, more than a disk gives that fails again and again.
        disk.fail(nil)
        problems += try await engine.client.guarded { try await engine.client.store.audit() }
        if records.map(\.state) != [.completed, .failed] { problems.append("the runs are \(records.map(\.state))") }
        return problems + Self.problems(in: all)
    }

    private func started<W: Workflow>(_ type: W.Type, _ engine: Engine) async throws -> RunID where W.Input == String {
        let prefix = "started \(W.name) "
        if let line = all.first(where: { $0.hasPrefix(prefix) }), let id = RunID(String(line.dropFirst(prefix.count))) {
            return id
        }
        let run = try await engine.start(type, input: "tea", key: "one", by: Self.ada)
        note(prefix + run.id.description)
        return run.id
    }

    /// What must not be on the other side, whatever happened to the disk.
    private static func problems(in lines: [String]) -> [String] {
        var problems: [String] = []
        for effect in ["reserve", "book", "unbook"] {
            let keys = Set(lines.filter { $0.hasPrefix(effect + " ") })
            if keys.count != 1 { problems.append("'\(effect)' was sent under \(keys.count) keys") }
        }
        let payments = lines.count { $0 == "pay" }
        if payments != 1 { problems.append("it was paid \(payments) times") }
        for (earlier, later) in [("reserve ", "pay"), ("book ", "unbook ")] {
            guard let first = lines.firstIndex(where: { $0.hasPrefix(later) }) else { continue }
            if lines[first...].contains(where: { $0.hasPrefix(earlier) }) {
                problems.append("'\(earlier)' was complete and has begun again")
            }
        }
        return problems
    }
}

private final class Flag: Sendable {
    private let state = Mutex(false)
    var isRaised: Bool { state.withLock { $0 } }
    func raise() { state.withLock { $0 = true } }
}

/// An idempotent step, a signal, a step that must not be repeated blindly, a timer.
private struct Errand: Workflow {
    static let name = "errand"
    static let owner = "tests"
    static let version: WorkflowVersion = "1"
    let errands: Errands

    func run(_ input: String, _ context: WorkflowContext) async throws -> String {
        try await context.act("reserve", input: input, .idempotent(retention: .forever), irreversible: "x") { [errands] _, step in
            errands.note("reserve \(step.idempotencyKey)")
        }
        let word = try await context.signal(Poke.self)
        try await context.act("pay", input: word, .atMostOnce(inDoubt: .askPerson), irreversible: "x") { [errands] _, _ in
            errands.note("pay")
        }
        try await context.sleep(for: .minutes(10))
        return word
    }
}

/// Fails, and undoes what it has done.
private struct Detour: Workflow {
    static let name = "detour"
    static let owner = "tests"
    static let version: WorkflowVersion = "1"
    let errands: Errands

    func run(_ input: String, _ context: WorkflowContext) async throws -> String {
        try await context.act("book", input: input, .idempotent(retention: .forever)) { [errands] _, step in
            errands.note("book \(step.idempotencyKey)")
        } undo: { [errands] _, step in
            errands.note("unbook \(step.idempotencyKey)")
        }
        throw Rejected("no way through")
    }
}
