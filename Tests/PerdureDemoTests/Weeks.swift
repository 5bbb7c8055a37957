import Foundation
import Perdure
import PerdureCLI
import PerdureEngine
import PerdureExamples
import PerdureHistory
import PerdurePeer
import PerdureSQLite
import Synchronization
import Testing

/// Time in microseconds since 1970, as the test moves it.
private final class Clock: Sendable {
    private let state: Mutex<Int64>
    init(_ now: Int64) { state = Mutex(now) }
    var now: Int64 { state.withLock { $0 } }
    func move(to time: Int64) { state.withLock { $0 = max($0, time) } }
    func advance(by duration: Duration) { state.withLock { $0 += duration.microseconds } }
}

/// Plays one run through weeks: real processes and a real other side, but a clock that is moved to whatever the run waits for next.
final class Weeks {
    /// Something that happens to the run, when its history says this for the how manieth time.
    struct Moment {
        enum What {
            /// SIGKILL.
            case kill
            /// The program ends in order and another build takes its place.
            case deploy
            /// The directory is down for so long.
            case outage(Duration)
        }

        let what: What
        let kind: EventKind
        let subject: String

        init(_ what: What, after kind: EventKind, _ subject: String = "") {
            self.what = what
            self.kind = kind
            self.subject = subject
        }
    }

    let stage: Stage
    let client: Client
    private let start: EngineSetup.Start
    private let clock: Clock
    private let began: Int64
    private(set) var run: RunID?
    private(set) var kills = 0
    private(set) var decisions = 0
    private var build = "demo"
    private var outageEnds: Int64?
    private var decided: Set<String> = []
    private var isClosed = false
    private var moments: ArraySlice<Moment> = []
    /// Where in the history the last moment was that has come.
    private var lastSeq: Int64 = 0
    /// The process was told to end, or killed: whatever it still says, nothing more is done to it.
    private var isEnding = false

    /// - Parameter workflow: The run that is started, with its key and its input.
    init(_ stage: Stage, _ workflow: String, key: String, input: some Encodable & Sendable) async throws {
        self.stage = stage
        start = try EngineSetup.Start(workflow, key: key, input: input)
        began = Int64(Date().timeIntervalSince1970 * 1_000_000)
        let clock = Clock(began)
        self.clock = clock
        // Makes the file, so that there is something to look at from the first moment on.
        try await Engine(store: .sqlite(stage.store)) {}.close()
        client = try await Client(.sqlite(stage.store, clock: { Timestamp(microseconds: clock.now) }))
    }

    /// How much time has passed for the run.
    var passed: Duration { .microseconds(clock.now - began) }

    /// Plays until the run is closed; everything that is to happen must have happened by then.
    func play(_ moments: [Moment]) async throws {
        self.moments = moments[...]
        while !isClosed {
            let process = try stage.engine([start], clock: clock.now, build: build)
            isEnding = false
            for await report in process.reports {
                if let id = report.run.flatMap(RunID.init) { run = id }
                switch report.what {
                case .event where report.kind == self.moments.first?.kind.rawValue: try await meet(process)
                case .ready:
                    try await meet(process)
                    try await goOn(process)
                case .rest: try await goOn(process)
                default: break
                }
            }
            let status = await process.wait()
            try #require(status == 0 || status == -SIGKILL)
            if status == -SIGKILL { kills += 1 }
        }
        #expect(self.moments.isEmpty, "these did not happen: \(self.moments.map { "\($0.kind) \($0.subject)" })")
    }

    /// Lets the next moment come if the history says so. A process that is killed may have committed more than it has told of, and nobody
    /// tells of that again.
    private func meet(_ process: EngineProcess) async throws {
        guard !isEnding, let run, let next = moments.first else { return }
        let event = try await client.history(of: run).first {
            $0.seq > lastSeq && $0.kind == next.kind && $0.subject.hasPrefix(next.subject)
        }
        guard let event else { return }
        lastSeq = event.seq
        moments.removeFirst()
        try await happen(next.what, process)
    }

    private func happen(_ what: Moment.What, _ process: EngineProcess) async throws {
        switch what {
        case .kill:
            isEnding = true
            process.kill()
        case .deploy:
            build = "demo-2"
            isEnding = true
            process.stop()
        case .outage(let duration):
            outageEnds = clock.now + duration.microseconds
            try await setDown(true)
        }
    }

    private func setDown(_ isDown: Bool) async throws {
        var behaviour = Behaviour()
        behaviour.down = isDown
        try await stage.peer.ledger.setBehaviour(behaviour, of: .group("directory"))
    }

    /// Lets the time come that a run at rest waits for.
    private func goOn(_ process: EngineProcess) async throws {
        guard !isEnding, let run else { return }
        let info = try await client.run(run)
        if info.isClosed {
            isClosed = true
            isEnding = true
            return process.stop()
        }
        guard info.state == "waiting" else { return }
        for approval in try await client.pendingApprovals(of: run) where decided.insert(approval.digest).inserted {
            // The board takes its time.
            clock.advance(by: .seconds(2 * 86_400))
            process.move(to: clock.now)
            try await client.decide(approval, approve: true, reason: "as planned", by: Principal(.human, "board"))
            decisions += 1
            return
        }
        guard let due = info.wakeAt.map({ Int64(($0.timeIntervalSince1970 * 1_000_000).rounded(.up)) }) else { return }
        if let end = outageEnds, due >= end {
            outageEnds = nil
            try await setDown(false)
        }
        clock.move(to: due)
        process.move(to: clock.now)
    }
}
