import Perdure
import PerdureHistory
import PerdureStore

@testable import PerdureEngine

/// SplitMix64: a seed is all that is needed to see a failure again.
struct Dice: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    mutating func roll(_ sides: Int) -> Int { Int.random(in: 0..<sides, using: &self) }
    mutating func chance(_ percent: Int) -> Bool { roll(100) < percent }
    mutating func pick<T>(_ values: [T]) -> T { values[roll(values.count)] }
}

/// A run of random code among random events, for a while in chaos and then in a world where everything comes about.
struct RandomRun {
    let seed: UInt64
    private var dice: Dice
    private var names = 0
    private var resets = 0
    private var losses = 0
    private(set) var driver: MachineDriver
    /// What was done to it, to be printed with a failure.
    private(set) var deeds: [String] = []

    init(seed: UInt64) throws {
        self.seed = seed
        var dice = Dice(state: seed)
        var names = 0
        let code = Self.code(depth: 3, &dice, &names)
        driver = try MachineDriver(code)
        self.dice = dice
        self.names = names
        if self.dice.chance(50) { otherRunTakesKey() }
    }

    // MARK: Code

    private static func code(depth: Int, _ dice: inout Dice, _ names: inout Int) -> Code {
        func parts(_ most: Int) -> [Code] { (0..<1 + dice.roll(most)).map { _ in code(depth: depth - 1, &dice, &names) } }
        guard depth > 0, dice.chance(75) else { return leaf(&dice, &names) }
        switch dice.roll(10) {
        case 0, 1, 2: return .sequence(parts(4))
        case 3, 4: return .parallel(parts(4))
        case 5, 6: return .race(parts(3))
        case 7:
            names += 1
            return .scope("s\(names)", code(depth: depth - 1, &dice, &names))
        case 8: return .recovered(code(depth: depth - 1, &dice, &names))
        default: return .sequence(parts(3) + (dice.chance(30) ? [.fails] : []))
        }
    }

    private static func leaf(_ dice: inout Dice, _ names: inout Int) -> Code {
        names += 1
        let name = "n\(names)"
        let retry: RetryPolicy = dice.pick([.default, .never, .limited(to: 2), RetryPolicy.limited(to: 2).thenThrow])
        let policy = StepPolicy(retry: retry, intent: dice.chance(20) ? .always : .automatic)
        let undo: StepRequest.Undo? = dice.pick([nil, .idempotent, .idempotent, .atMostOnce(hasProbe: dice.chance(50))])
        let approval: ApprovalRequirement? = dice.chance(20) ? .required(by: .anyone, within: .hours(1)) : nil
        let key: String? = dice.chance(20) ? "order-7" : nil
        switch dice.roll(30) {
        case 28: return .continues("7")
        case let roll: return leaf(roll % 14, name, policy, undo, approval, key, &dice)
        }
    }

    private static func leaf(
        _ kind: Int, _ name: String, _ policy: StepPolicy, _ undo: StepRequest.Undo?, _ approval: ApprovalRequirement?,
        _ key: String?, _ dice: inout Dice
    ) -> Code {
        switch kind {
        case 0, 1: return .read(name, policy: policy)
        case 2, 3, 4, 5:
            let retention: Retention = dice.pick([.forever, .minutes(30)])
            return .idempotent(
                key == nil ? name : "keyed", retention: retention, policy: policy, undo: undo, approval: approval, key: key
            ).named(key == nil ? nil : name)
        case 6, 7, 8:
            return .atMostOnce(name, probe: dice.chance(50), policy: policy, undo: undo, approval: approval)
        case 9: return .timer(name, .minutes(dice.roll(90)))
        case 10: return .signal("signal-\(dice.roll(2))")
        case 11, 12:
            return .child(
                name, undo: undo, policy: dice.pick([.cancel, .cancel, .abandon]), isDetached: dice.chance(10))
        default: return .question(name, within: dice.chance(50) ? .minutes(20) : nil)
        }
    }

    private mutating func otherRunTakesKey() {
        let key = BusinessKey(namespace: "default", step: "keyed", key: "order-7")
        if driver.keys[key] != nil { return }
        let digest = SaltedDigest.hex(salt: [], canonicalBytes: Code.input("keyed"))
        driver.keys[key] = BusinessKeyRecord(
            key: key, generation: dice.roll(3), holder: RunID(milliseconds: 5, random: (5, 5)), subject: "theirs",
            inputDigest: digest,
            outcome: dice.pick([.open, .free, .happened(output: MachineDriver.done)]))
    }

    // MARK: Chaos

    mutating func play() throws {
        for _ in 0..<5 + dice.roll(40) where !driver.machine.isClosed {
            try doSomething()
            if driver.machine.isPaused { continue }
            if let build = dice.chance(6) ? dice.pick(["build-a", "build-b"]) : nil, driver.running.isEmpty || dice.chance(30) {
                deeds.append("hand over to \(build)")
                try driver.handOver(build: build)
            }
        }
        deeds.append("calm")
        try driver.settle()
        if driver.cause == nil { throw DriverError("nobody can say what the run waits for: \(driver.machine.openSubjects)") }
        try driver.playToTheEnd()
    }

    private mutating func doSomething() throws {
        let count = driver.history.count
        if driver.machine.isPaused {
            guard dice.chance(50) else { return }
            deeds.append("resume")
            return try driver.resume()
        }
        switch dice.roll(106) {
        case 0..<45: try endSomething()
        case 45..<55: sendSomething()
        case 55..<70: decideSomething()
        case 70..<78:
            driver.now = driver.now + .minutes(dice.pick([0, 1, 5, 11, 45]))
            deeds.append("time passes")
        case 78..<84:
            if dice.chance(50) { driver.now = driver.now + .minutes(dice.pick([0, 1, 45])) }
            let build = dice.pick([nil, nil, "build-a", "build-b"])
            deeds.append("crash\(build.map { " to \($0)" } ?? "")")
            try driver.crash(build: build)
        case 84..<87: driver.refusals = 1 + dice.roll(2)
        case 87..<89:
            deeds.append("cancel")
            driver.deliver(.cancel)
        case 89:
            deeds.append("terminate")
            driver.deliver(.terminate)
        case 97..<99: try lose()
        case 100..<102: pauseOrResume()
        case 102..<106: reset()
        default: break
        }
        // Sometimes several things come about before the engine looks again.
        if dice.chance(70) { try driver.cycle(random: 0.5) }
        if dice.chance(40) { try driver.settle() }
        if driver.history.count > count { deeds.append("  → \(driver.historyText[count...].joined(separator: ", "))") }
    }

    private mutating func pauseOrResume() {
        let kinds: [InboxKind] = dice.pick([[.pause], [.pause, .unpause], [.pause, .unpause, .pause]])
        deeds.append("\(kinds)")
        for kind in kinds { driver.deliver(kind) }
    }

    /// The history goes back to an earlier commit, whatever was sent since.
    private mutating func lose() throws {
        guard losses < 2, let count = driver.commits.randomElement(using: &dice) else { return }
        losses += 1
        driver.now = driver.now + .minutes(dice.pick([0, 1, 45]))
        let pause = Duration.minutes(dice.pick([0, 45]))
        deeds.append("history goes back from \(driver.history.count) to \(count), and the run is claimed after \(pause)")
        try driver.restore(to: count, build: dice.pick([nil, nil, "build-b"]), claimedAfter: pause)
    }

    /// Up to three times, or some runs would never come forward.
    private mutating func reset() {
        guard driver.history.count > 1, resets < 3 else { return }
        resets += 1
        let request = ResetRequest(to: Int64(1 + dice.roll(driver.history.count - 1)), completed: dice.pick(ResetChoice.allCases))
        deeds.append("reset to \(request.to), \(request.completed)")
        driver.deliver(.reset, "", request.bytes)
    }

    private mutating func endSomething() throws {
        guard !driver.running.isEmpty else { return }
        let ended = driver.running.remove(at: dice.roll(driver.running.count))
        deeds.append("\(ended.attempt.subject) (\(ended.attempt.body)) ends")
        if ended.attempt.body.isProbe {
            let answers: [ProbeOutcome] = [.happened(MachineDriver.done), .didNotHappen, .partly("half"), .unknown("later")]
            driver.mailbox.append((driver.now, .probeEnded(ended.id, dice.pick(answers))))
        } else {
            let ok = AttemptOutcome.succeeded(MachineDriver.done)
            let outcomes: [AttemptOutcome] = [
                ok, ok, ok, .unrecordable("no"), MachineDriver.failure(), MachineDriver.failure(isDefinite: true),
                MachineDriver.failure(isRetryable: false), MachineDriver.failure(isDefinite: true, isRetryable: false),
            ]
            driver.ended(ended, dice.pick(outcomes))
        }
    }

    private mutating func sendSomething() {
        let waiting = driver.keysOfOthers, children = driver.childrenAtWork
        if !children.isEmpty, dice.chance(60) {
            let child = dice.pick(children)
            driver.deliverEnd(
                of: child.subject, dice.pick([.runCompleted, .runCompleted, .runFailed, .runCancelled, .runTerminated]))
            deeds.append("child \(child.subject) ends")
            return
        }
        if !waiting.isEmpty, dice.chance(50) {
            driver.settleKey(dice.pick(waiting), dice.pick([.free, .happened(output: MachineDriver.done)]))
        } else {
            driver.deliver(.signal, "signal-\(dice.roll(2))", Array("1".utf8))
        }
        deeds.append("message")
    }

    private mutating func decideSomething() {
        let subjects = driver.machine.steps.values.sorted { $0.id < $1.id }.map { ($0.request.subject, $0.phase) }
        let questions = driver.machine.questions.values.map(\.request.subject).sorted()
        if !questions.isEmpty, dice.chance(30) {
            driver.deliver(.answer, dice.pick(questions), Array("1".utf8))
            return
        }
        guard !subjects.isEmpty else { return }
        let (subject, phase) = dice.pick(subjects)
        deeds.append("a decision on \(subject) in \(phase)")
        switch (phase, dice.roll(4)) {
        case (.awaitingApproval, _), (.abandoned, _): driver.deliverDecision(subject, approve: dice.chance(75))
        case (_, 0): driver.deliverRetry(subject)
        default: driver.deliverResolution(subject, dice.pick(ResolutionKind.allCases))
        }
    }
}

extension Code {
    /// The same step under another subject, for several that share a name.
    func named(_ subject: String?) -> Code {
        guard case .step(var request) = self, let subject else { return self }
        request.subject = subject
        return .step(request)
    }
}
