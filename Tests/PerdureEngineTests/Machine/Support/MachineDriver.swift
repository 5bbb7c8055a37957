import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

@testable import PerdureEngine

/// Plays the engine around one run machine: a history with its chain, a clock, an inbox, business keys, and bodies that end when the
/// test says so. It can lose the process at any point and go on from the history alone.
final class MachineDriver {
    struct Call: Hashable {
        let subject: String
        let body: Attempt.Body
        let number: Int
        let key: String
        let epoch: Int
        /// How many events were durable when it was made.
        let seq: Int
        /// The other side has surely not done it: the body ended with a definite error.
        var wasRefused = false
    }

    struct Running {
        let id: OperationID
        let attempt: Attempt
    }

    static let start = Timestamp(microseconds: 1_750_000_000_000_000)
    static let owner = Principal(.human, "olga")

    let identity: RunIdentity
    var code: Code
    var now = MachineDriver.start
    private(set) var history: [Event] = []
    /// What was sent in parts of the history that are lost, as if it had been sent when the rest was newest.
    private(set) var lostCalls: [Call] = []
    /// What the store held besides after each commit, by the number of events.
    private var snapshots: [Int: Snapshot] = [:]
    /// How many events there were after each commit.
    private(set) var commits: [Int] = []
    private(set) var head: ChainHead
    var machine: RunMachine
    private(set) var script: Script!
    /// Facts that have come about and are not in history.
    var mailbox: [(at: Timestamp, fact: Fact)] = []
    /// Unread rows, which outlive the process.
    private(set) var inbox: [InboxRow] = []
    /// Every row that was delivered: behind which event it was, and which commit has taken it in.
    private var mail: [Mail] = []
    private var rows: Int64 = 0
    var running: [Running] = []
    var calls: [Call] = []
    /// Subjects whose bodies were told to stop.
    private(set) var told: [String] = []
    var keys: [BusinessKey: BusinessKeyRecord] = [:]
    var awaited: [(key: BusinessKey, subject: String)] = []
    /// The next commits that the store refuses as if it were unavailable.
    var refusals = 0
    /// How bodies end, attempt by attempt, where nothing else is said.
    var outcomes: [String: [AttemptOutcome]] = [:]
    private(set) var released: Set<String> = []
    /// Children that were made, in order, and messages to other runs.
    private(set) var startedChildren: [ChildStart] = []
    private(set) var deliveries: [Delivery] = []
    /// What the run was continued as.
    private(set) var successors: [SuccessorStart] = []
    /// The runs as which it was continued, in parts of its history that are lost too.
    private(set) var successorIDs: Set<RunID> = []
    /// What the machine wants another build for.
    private(set) var obstacle: Divergence?
    /// What the code had seen when its process was lost: the next one has to see the same.
    private var seenLive: [String]?
    /// Whether somebody answers for the workflow.
    private let hasOwner: Bool
    private(set) var epoch = 1
    private(set) var build: String
    private(set) var node = "node-1"

    convenience init(
        _ code: Code, build: String = "build-a", keys: [BusinessKeyRecord] = [], deadline: Duration? = nil,
        parent: ParentLink? = nil, hasOwner: Bool = true
    ) throws {
        self.init(code, build: build, history: [], calls: [], hasOwner: hasOwner)
        for record in keys { self.keys[record.key] = record }
        try commit(
            Drafts(events: [
                EventDraft(
                    .runStarted,
                    attributes: .make(
                        ("build", .string(build)), ("node", .string(node)), ("by", JSONValue(Self.owner)),
                        ("deadline", deadline.map { JSONValue(now + $0) }), ("parent", parent?.json)),
                    input: .inline(Array("null".utf8)))
            ]))
        machine.caughtUp(isTakeover: false, now: now)
        try settle()
    }

    /// A run that somebody else has brought this far, and that is not in memory.
    init(
        _ code: Code, build: String, history: [Event], calls: [Call],
        id: RunID = RunID(milliseconds: 1_750_000_000_000, random: (1, 2)), hasOwner: Bool = true
    ) {
        self.hasOwner = hasOwner
        identity = RunIdentity(
            id: id, namespace: "default", workflow: "test", version: "1", salt: Array(repeating: 7, count: 16))
        self.code = code
        self.build = build
        self.history = history
        self.calls = calls
        head = history.last.map(ChainHead.init) ?? .start(namespace: "default", run: id.description)
        now = max(now, head.at)
        machine = RunMachine(
            identity: identity, build: build, node: node, resets: Self.resets(in: history), hasOwner: hasOwner)
        machine.trace = []
        machine.childTrace = []
        script = Script(self)
    }

    deinit { Coverage.add(machine, kinds: history.map(\.kind)) }

    // MARK: The engine's cycle

    func feed(_ event: Event) throws {
        try machine.feed(event)
        if event.kind == .runStarted { script.start(code) }
        drain()
        machine.rest()
        for step in machine.steps.values where step.family == .step { released.insert(step.request.subject) }
    }

    private func drain() {
        repeat {
            if machine.rootShouldCancel {
                machine.rootShouldCancel = false
                script.cancelRoot()
            }
            for (id, answer) in machine.takeAnswers() { script.deliver(id, answer) }
        } while !machine.answers.isEmpty || machine.rootShouldCancel
    }

    /// Takes in what has come about, plans, and commits or acts. Returns whether there was anything to do.
    @discardableResult
    func cycle(random: Double = 0.5) throws -> Bool {
        for due in machine.dueFacts(now: now) { mailbox.append(due) }
        var taken: [(at: Timestamp, fact: Fact)] = []
        var left: [(at: Timestamp, fact: Fact)] = []
        var spoken: Set<OperationID> = []
        var drafts = Drafts()
        for entry in mailbox.enumerated().sorted(by: { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }).map(\.element) {
            if machine.holds(entry.fact) {
                left.append(entry)
                continue
            }
            if let id = machine.operation(of: entry.fact), !spoken.insert(id).inserted {
                left.append(entry)
                continue
            }
            taken.append(entry)
            drafts.append(machine.drafts(for: entry.fact, now: now, random: random))
        }
        let plan = machine.plan(now: now)
        drafts.append(plan.drafts)
        mailbox = left
        obstacle = plan.actions.isEmpty && !machine.isBusy ? plan.obstacle : nil
        if drafts.isEmpty {
            if obstacle != nil { return false }
            for action in plan.actions { act(action) }
            return !plan.actions.isEmpty || !taken.isEmpty
        }
        if refusals > 0 {
            refusals -= 1
            mailbox = taken + left
            return true
        }
        if let refusal = refusal(of: drafts) {
            mailbox = taken + left + refusal
            return true
        }
        try commit(drafts, rewinds: plan.rewinds)
        return true
    }

    /// Cycles until there is nothing to do but to wait.
    func settle() throws {
        for _ in 0..<500 where try !cycle() { return }
        let steps = machine.steps.values.map { "\($0.request.subject) \($0.phase)" }
        throw DriverError("the machine always finds something to do: \(historyText.suffix(6)) \(steps) \(mailbox.count) facts")
    }

    private func refusal(of drafts: Drafts) -> [(at: Timestamp, fact: Fact)]? {
        if drafts.events.contains(where: { $0.kind.isFinal }) {
            let unread = inbox.filter { !drafts.consumed.contains($0.number) }
            if !unread.isEmpty {
                return unread.filter { row in !mailbox.contains { $0.fact.row == row.number } }.map { ($0.at, .inbox($0)) }
            }
        }
        for take in drafts.takes {
            guard let record = keys[take.key] else {
                continue
            }
            let isOurs = record.outcome == .open && record.holder == identity.id && record.subject == take.subject
            let isFree = record.outcome == .free && record.generation == take.generation
            if !isOurs, !isFree, let id = machine.operation(taking: take) { return [(now, .keyHeld(id, record))] }
        }
        return nil
    }

    private func commit(_ drafts: Drafts, rewinds: Bool = false) throws {
        for take in drafts.takes {
            keys[take.key] = BusinessKeyRecord(
                key: take.key, generation: take.generation, holder: identity.id, subject: take.subject,
                inputDigest: take.inputDigest, outcome: .open)
        }
        for settlement in drafts.settles {
            guard let record = keys[settlement.key], record.holder == identity.id, record.subject == settlement.subject else {
                continue
            }
            settleKey(settlement.key, settlement.end)
        }
        startedChildren += drafts.children
        deliveries += drafts.deliveries
        if let successor = drafts.successor {
            successors.append(successor)
            successorIDs.insert(successor.id)
        }
        inbox.removeAll { drafts.consumed.contains($0.number) }
        let consumed = history.count + drafts.events.count
        for index in mail.indices where drafts.consumed.contains(mail[index].row.number) { mail[index].consumed = consumed }
        mailbox.removeAll { drafts.consumed.contains($0.fact.row ?? -1) }
        let events = head.append(contentsOf: drafts.events, run: identity.id.description, now: now)
        history += events
        commits.append(history.count)
        snapshots[history.count] = Snapshot(
            keys: keys, children: startedChildren.count, deliveries: deliveries.count, successors: successors.count)
        guard rewinds else { return try events.forEach(feed) }
        // The run is read anew, from its earlier point.
        reload()
        try comeBack(isTakeover: false)
    }

    static func resets(in history: [Event]) -> [ResetSpan] {
        var standing = RunStanding()
        for event in history { standing.add(event) }
        return standing.resets
    }

    /// An event that somebody else than this machine has written.
    func record(_ draft: EventDraft) throws { try commit(Drafts(events: [draft])) }

    private func act(_ action: RunAction) {
        switch action {
        case .admit(let id):
            _ = machine.resourceAnswered(id, mayBegin: true)
        case .run(let id):
            if let attempt = machine.beginAttempt(id, now: now) { began(attempt) }
        case .probe(let id):
            if let attempt = machine.beginProbe(id, now: now) { began(attempt) }
        case .tellBodyToStop(let id):
            told += running.filter { $0.id == id }.map(\.attempt.subject)
            machine.toldToStop(id)
        case .awaitKey(let id):
            guard let wanted = machine.businessKey(of: id) else { return }
            let key = BusinessKey(namespace: identity.namespace, step: wanted.step, key: wanted.key)
            guard let record = keys[key], record.outcome == .open else {
                if let record = keys[key] { mailbox.append((now, .keyHeld(id, record))) }
                return
            }
            awaited.append((key, wanted.subject))
        }
    }

    private func began(_ attempt: Attempt) {
        running.append(Running(id: attempt.operation, attempt: attempt))
        calls.append(
            Call(
                subject: attempt.subject, body: attempt.body, number: attempt.number, key: attempt.idempotencyKey, epoch: epoch,
                seq: history.count))
    }

    /// The store's keys as the history left them, for a run that somebody else has brought this far.
    func adoptKeys() {
        for event in history where event.kind == .stepIntended {
            guard let name = (try? event.attributes.object())?["business_key"]?.stringValue else { continue }
            let key = BusinessKey(namespace: identity.namespace, step: event.subject, key: name)
            let digest = SaltedDigest.hex(salt: [], canonicalBytes: Code.input(event.subject))
            keys[key] = BusinessKeyRecord(
                key: key, generation: 0, holder: identity.id, subject: event.subject, inputDigest: digest, outcome: .open)
        }
    }

    // MARK: Losing the process

    /// The process dies; another one takes the run over, and may give it back at once and take it again.
    func crash(build: String? = nil, isGivenBack: Bool = false) throws {
        leave(build: build)
        let resumed = EventDraft(
            .runResumed, attributes: ["build": .string(self.build), "clean": false, "node": .string(node)])
        history.append(head.append(resumed, run: identity.id.description, now: now))
        try comeBack(isTakeover: !isGivenBack)
    }

    struct Snapshot {
        var keys: [BusinessKey: BusinessKeyRecord]
        var children: Int
        var deliveries: Int
        var successors: Int
    }

    struct Mail {
        let row: InboxRow
        let delivered: Int
        var consumed: Int?
    }

    /// The store goes back to where it was after a commit, or to a moment before the next one, and somebody has the history marked; a
    /// process takes the run on. What was sent since has been sent all the same. Messages that were there by then and were taken in since
    /// are unread again.
    ///
    /// - Parameters:
    ///   - isTakeover: whether somebody owned the run at that point.
    ///   - claimedAfter: how long after the mark a process takes the run on.
    ///   - meanwhile: what comes about before the mark.
    func restore(
        to count: Int, build: String? = nil, isTakeover: Bool = true, claimedAfter: Duration = .zero,
        meanwhile: (MachineDriver) -> Void = { _ in }
    ) throws {
        let lost = calls.filter { $0.seq > count }
        let seqs = lost.map {
            Call(subject: $0.subject, body: $0.body, number: $0.number, key: $0.key, epoch: $0.epoch, seq: count)
        }
        // What the lost part knew of them before does not count any more: one of them is enough.
        let again = Set(seqs.map { "\($0.subject)|\($0.body)" })
        calls.removeAll { $0.seq > count }
        lostCalls.removeAll { $0.seq > count || again.contains("\($0.subject)|\($0.body)") }
        lostCalls += Dictionary(seqs.map { ("\($0.subject)|\($0.body)", $0) }) { $1 }.values
        let kept = Array(history.prefix(count))
        history = kept
        head = kept.last.map(ChainHead.init) ?? head
        commits.removeAll { $0 > count }
        if let snapshot = snapshots[count] {
            keys = snapshot.keys
            startedChildren.removeLast(max(0, startedChildren.count - snapshot.children))
            deliveries.removeLast(max(0, deliveries.count - snapshot.deliveries))
            successors.removeLast(max(0, successors.count - snapshot.successors))
        }
        mail.removeAll { $0.delivered > count }
        for index in mail.indices where mail[index].consumed.map({ $0 > count }) ?? false { mail[index].consumed = nil }
        inbox = mail.filter { $0.consumed == nil }.map(\.row)
        (mailbox, awaited, released, refusals) = ([], [], [], 0)
        meanwhile(self)
        let mark = LostPart(since: head.at, until: now, by: Self.owner)
        history.append(head.append(mark.event, run: identity.id.description, now: now))
        snapshots[history.count] = Snapshot(
            keys: keys, children: startedChildren.count, deliveries: deliveries.count, successors: successors.count)
        commits.append(history.count)
        now = now + claimedAfter
        leave(build: build)
        seenLive = nil
        if isTakeover {
            let resumed = EventDraft(
                .runResumed, attributes: ["build": .string(self.build), "clean": false, "node": .string(node)])
            history.append(head.append(resumed, run: identity.id.description, now: now))
        }
        try comeBack(isTakeover: isTakeover)
    }

    /// The process gives the run up in order: what has ended is recorded, what is in flight has its intent committed.
    func handOver(build: String? = nil) throws {
        try settle()
        if machine.isClosed { return }
        history += head.append(contentsOf: machine.handOverDrafts(now: now), run: identity.id.description, now: now)
        leave(build: build)
        try comeBack(isTakeover: false)
    }

    /// The run was taken out of memory and is brought back by the same process.
    func evict() throws {
        if !running.isEmpty { throw DriverError("a run is not evicted with a body in flight") }
        seenLive = script.seen
        reload()
        try comeBack(isTakeover: false)
    }

    private func leave(build: String?) {
        if !machine.isReplaying { seenLive = script.seen }
        epoch += 1
        self.build = build ?? self.build
        node = "node-\(epoch)"
        reload()
    }

    /// Brings in for the first time what somebody else has made.
    func bringIn() throws {
        reload(isFirstOwner: true)
        try comeBack(isTakeover: false)
    }

    private func reload(isFirstOwner: Bool = false) {
        Coverage.add(machine, kinds: [])
        let resets = Self.resets(in: history)
        machine = RunMachine(
            identity: identity, build: self.build, node: node, storedSeq: Int64(history.count), isFirstOwner: isFirstOwner,
            patches: history.filter { $0.kind == .versionPatched && !resets.passesOver($0.seq) }.map(\.subject), resets: resets,
            hasOwner: hasOwner)
        machine.trace = []
        machine.childTrace = []
        script = Script(self)
        running = []
        mailbox = inbox.map { ($0.at, .inbox($0)) }
    }

    private func comeBack(isTakeover: Bool) throws {
        for event in history { try feed(event) }
        if let live = seenLive, live != script.seen { throw DriverError("live the code saw \(live), on replay \(script.seen)") }
        seenLive = nil
        machine.caughtUp(isTakeover: isTakeover, now: now)
        try settle()
    }

    // MARK: Messages

    func deliver(_ kind: InboxKind, _ name: String = "", _ payload: [UInt8]? = nil, by sender: Principal? = nil) {
        guard !machine.isClosed else { return }
        rows += 1
        let row = InboxRow(
            number: rows, run: 1, at: now,
            delivery: Delivery(
                to: identity.id, id: "d\(rows)", kind: kind, name: name, payload: payload,
                sender: sender ?? Principal(.human, "ann")))
        inbox.append(row)
        mail.append(Mail(row: row, delivered: history.count))
        mailbox.append((now, .inbox(row)))
    }

    func settleKey(_ key: BusinessKey, _ end: BusinessKeySettlement.End) {
        guard var record = keys[key] else { return }
        switch end {
        case .undoing:
            if case .happened = record.outcome { keys[key]?.outcome = .open }
            return
        case .happened(let output): record.outcome = .happened(output: output)
        case .free:
            record.outcome = .free
            record.generation += 1
        }
        keys[key] = record
        let told = awaited.filter { $0.key == key }
        awaited.removeAll { $0.key == key }
        for waiter in told { deliver(.keySettled, waiter.subject, by: Principal(.system, "store")) }
    }

    var historyText: [String] { history.map { $0.subject.isEmpty ? $0.kind.rawValue : "\($0.kind.rawValue) \($0.subject)" } }
    var kinds: [EventKind] { history.map(\.kind) }
}

struct DriverError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

extension Fact {
    var row: Int64? {
        if case .inbox(let row) = self { row.number } else { nil }
    }
}

/// What was taken and fed while tests ran.
enum Coverage {
    private struct State {
        var transitions: Set<StepTransition> = []
        var childTransitions: Set<ChildTransition> = []
        var kinds: Set<EventKind> = []
    }

    private static let state = Mutex(State())

    static func add(_ machine: RunMachine, kinds: [EventKind]) {
        state.withLock {
            $0.transitions.formUnion(machine.trace ?? [])
            $0.childTransitions.formUnion(machine.childTrace ?? [])
            $0.kinds.formUnion(kinds)
        }
    }

    static var transitions: Set<StepTransition> { state.withLock { $0.transitions } }
    static var childTransitions: Set<ChildTransition> { state.withLock { $0.childTransitions } }
    static var kinds: Set<EventKind> { state.withLock { $0.kinds } }
}
