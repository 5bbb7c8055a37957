import DequeModule
import HeapModule
import Perdure
import PerdureHistory

/// What a simulation has to do, and what time it is.
struct TurnState {
    typealias Item = TurnLoop.Item
    typealias Work = TurnLoop.Work

    struct Timer: Comparable {
        let at: Timestamp
        let order: UInt64
        let process: Int
        let isChore: Bool
        let action: @Sendable () -> Void
        static func < (left: Timer, right: Timer) -> Bool { (left.at, left.order) < (right.at, right.order) }
        static func == (left: Timer, right: Timer) -> Bool { left.order == right.order }
    }

    struct Process {
        let name: String
        var generator: DerivedGenerator
        var isDead = false
        /// Its death has been seen to: nothing of it is done any more, not even without effect.
        var isBuried = false
        var frozenUntil: Timestamp?
        /// What waits until it is thawed.
        var held: [Item] = []
        /// Of a dead one: what it still waits for, and how far its own time has run to get through with that.
        var timers = Heap<Timer>()
        var ghostTime: Timestamp?
        var ghostTurns = 0
    }

    struct Body {
        let label: String
        let process: Int
        /// In how many places it waits in the time of the simulation.
        var sleeps = 0
        /// It was waited for without success.
        var isGivenUp = false
    }

    /// More than a dead engine needs to come to its end.
    private static let ghostLimit = 1_000_000
    /// So often time moves on for housekeeping only. What comes of that would have come by then.
    private static let choreLimit = 1_000

    var processes: [Process] = []
    var bodies: [UInt64: Body] = [:]
    var now: Timestamp
    let end: Timestamp
    var trace = Trace()
    /// How much was done when time passed last.
    var turnsBefore = 0
    /// Those who wait outside, and how to tell them that it came to nothing.
    var mains: [UInt64: @Sendable (any Error) -> Void] = [:]
    var isDriven = false
    var failure: SimulationFailure?
    private(set) var outsideWork: [String] = []
    var running: Item?

    private let seed: UInt64
    /// Chooses; nil takes what came first.
    private var generator: DerivedGenerator?
    private var ready = Deque<Item>()
    private var ghosts = Deque<Item>()
    private var timers = Heap<Timer>()
    private var lastNumber: UInt64 = 0
    private let turnLength: UInt64
    /// How many of the timers are not housekeeping.
    private var waiting = 0
    /// How often in a row time has moved on for housekeeping only.
    private var chores = 0

    init(seed: UInt64?, start: Timestamp, turnLength: Duration, end: Timestamp) {
        self.turnLength = UInt64(clamping: turnLength.microseconds)
        self.seed = seed ?? 0
        generator = seed.map { DerivedGenerator(state: $0) }
        now = start
        self.end = end
    }

    private mutating func nextNumber() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    mutating func addProcess(_ name: String) -> Int {
        var generator = DerivedGenerator(state: seed ^ UInt64(processes.count + 1) << 32)
        processes.append(Process(name: name, generator: DerivedGenerator(state: generator.next())))
        return processes.count - 1
    }

    func time(of process: Int) -> Timestamp { processes[process].ghostTime ?? now }

    // MARK: The queue

    /// Returns what is dropped.
    mutating func add(_ kind: Turn.Kind, of process: Int, body: UInt64?, _ work: Work) -> Work? {
        if let body { bodies[body]?.isGivenUp = false }
        let item = Item(number: nextNumber(), process: process, kind: kind, body: body, work: work)
        if processes[process].isDead {
            if kind == .body || processes[process].isBuried { return work }
            ghosts.append(item)
        } else if processes[process].frozenUntil != nil {
            processes[process].held.append(item)
        } else {
            ready.append(item)
        }
        return nil
    }

    mutating func add(
        after duration: Duration, of process: Int, isChore: Bool = false, _ action: @escaping @Sendable () -> Void
    ) {
        let timer = Timer(
            at: time(of: process) + max(.zero, duration), order: nextNumber(), process: process, isChore: isChore, action: action)
        if processes[process].isBuried { return }
        if processes[process].isDead {
            processes[process].timers.insert(timer)
        } else {
            timers.insert(timer)
            if !isChore { waiting += 1 }
        }
    }

    /// Whether what was taken can be done although something has happened since. Otherwise it goes where it belongs now.
    mutating func goesOn(with item: Item) -> (Bool, dropped: Work?) {
        guard processes[item.process].isDead || processes[item.process].frozenUntil != nil else { return (true, nil) }
        return (false, add(item.kind, of: item.process, body: item.body, item.work))
    }

    /// What is done next, if anything can be done at this time.
    mutating func take() -> Item? {
        while let timer = timers.min, timer.at <= now {
            timers.removeMin()
            if !timer.isChore { waiting -= 1 }
            _ = add(.time, of: timer.process, body: nil, .closure(timer.action))
        }
        guard !ready.isEmpty else { return nil }
        if ready.count > 1, let number = generator?.next() {
            ready.swapAt(0, Int(truncatingIfNeeded: number % UInt64(ready.count)))
        }
        running = ready.popFirst()
        if turnLength > 0, let number = generator?.next() { now = now + .microseconds(Int64(number % (turnLength + 1))) }
        return running
    }

    /// Nothing can be done at this time. Returns whether there is a later one that is worth waiting for.
    mutating func moveTime() -> Bool {
        guard let due = timers.min?.at else { return false }
        chores = waiting > 0 ? 0 : chores + 1
        guard chores <= Self.choreLimit else { return false }
        now = due
        return now <= end
    }

    func turn(_ item: Item) -> Turn {
        Turn(number: item.number, process: processes[item.process].name, kind: item.kind, at: now)
    }

    // MARK: Callers

    mutating func addMain(_ fail: @escaping @Sendable (any Error) -> Void) -> UInt64 {
        let number = nextNumber()
        mains[number] = fail
        return number
    }

    /// Whether the caller has to start the thread.
    mutating func takeWheel() -> Bool {
        if isDriven || mains.isEmpty { return false }
        isDriven = true
        return true
    }

    mutating func fail(_ failure: SimulationFailure) -> [@Sendable (any Error) -> Void] {
        self.failure = failure
        defer { mains = [:] }
        return mains.sorted { $0.key < $1.key }.map(\.value)
    }

    // MARK: Processes that stop

    mutating func freeze(_ process: Int, until time: Timestamp) {
        processes[process].frozenUntil = time
        processes[process].held += takeReady(of: process)
    }

    mutating func thaw(_ process: Int, at time: Timestamp) {
        // It may have been frozen for longer meanwhile.
        guard !processes[process].isDead, processes[process].frozenUntil == time else { return }
        processes[process].frozenUntil = nil
        ready.append(contentsOf: processes[process].held)
        processes[process].held = []
    }

    /// From here on it is a ghost: its engine comes to its end without effect, at once and before anything else, so that its memory is
    /// free. Its bodies just stop.
    mutating func kill(_ process: Int) -> (isKilled: Bool, dropped: [Work]) {
        guard !processes[process].isDead else { return (false, []) }
        processes[process].isDead = true
        processes[process].ghostTime = now
        let items = processes[process].held + takeReady(of: process)
        processes[process].held = []
        processes[process].frozenUntil = nil
        let own = timers.unordered.filter { $0.process == process }
        if !own.isEmpty { timers = Heap(timers.unordered.filter { $0.process != process }) }
        waiting -= own.count { !$0.isChore }
        processes[process].timers = Heap(own)
        bodies = bodies.filter { $0.value.process != process }
        ghosts.append(contentsOf: items.filter { $0.kind != .body })
        return (true, items.filter { $0.kind == .body }.map(\.work))
    }

    mutating func bury(_ process: Int) -> [Work] {
        processes[process].isBuried = true
        let timers = processes[process].timers.unordered.map { Work.closure($0.action) }
        processes[process].timers = Heap()
        let left = ghosts.filter { $0.process == process }.map(\.work)
        ghosts.removeAll { $0.process == process }
        return timers + left
    }

    private mutating func takeReady(of process: Int) -> [Item] {
        let items = Array(ready.filter { $0.process == process })
        if !items.isEmpty { ready.removeAll { $0.process == process } }
        return items
    }

    mutating func takeGhost() -> Item? {
        if let ghost = ghosts.popFirst() { return haunt(ghost) }
        for process in processes.indices where processes[process].isDead && !processes[process].isBuried {
            guard processes[process].ghostTurns < Self.ghostLimit, let timer = processes[process].timers.popMin() else {
                continue
            }
            processes[process].ghostTime = max(timer.at, time(of: process))
            return haunt(Item(number: nextNumber(), process: process, kind: .time, body: nil, work: .closure(timer.action)))
        }
        return nil
    }

    private mutating func haunt(_ ghost: Item) -> Item {
        processes[ghost.process].ghostTurns += 1
        return ghost
    }

    // MARK: Outside

    mutating func beginBody(_ label: String, of process: Int) -> UInt64 {
        let number = nextNumber()
        if !processes[process].isDead { bodies[number] = Body(label: label, process: process) }
        return number
    }

    /// Whether a body waits, but not in the time of the simulation.
    var mayBeWoken: Bool { bodies.values.contains { $0.sleeps == 0 && !$0.isGivenUp } }

    mutating func losePatience() {
        for body in bodies.keys where bodies[body]?.sleeps == 0 { bodies[body]?.isGivenUp = true }
    }

    mutating func noteOutsideWork(_ kind: Turn.Kind, of process: Int, body: UInt64?, from thread: String) {
        // A dead process is not heard.
        guard !processes[process].isDead else { return }
        let who = body.flatMap { bodies[$0]?.label } ?? "\(kind)"
        outsideWork.append("\(who) in process '\(processes[process].name)', from \(thread)")
    }

    mutating func noteOutsideCall(_ what: String, of process: Int, from thread: String) {
        guard !processes[process].isDead else { return }
        outsideWork.append("\(what) by process '\(processes[process].name)', from \(thread)")
    }

    var standstill: SimulationFailure {
        let waiting = bodies.sorted { $0.key < $1.key }.map {
            "\($0.value.label) in process '\(processes[$0.value.process].name)'"
        }
        let under = waiting.isEmpty ? "No body of a step is under way." : "Under way: \(waiting.joined(separator: "; "))."
        return SimulationFailure(
            reason: .standstill,
            message: "Nothing is left to do and nothing is due at \(now), and yet the simulation was not to end. \(under)")
    }

    var endless: SimulationFailure {
        SimulationFailure(reason: .endless, message: "\(trace.turns) things were done until \(now), and there is no end to it.")
    }

    var timeIsUp: SimulationFailure {
        SimulationFailure(reason: .timeIsUp, message: "It is \(now), later than the simulation was to run, and it has not ended.")
    }
}
