public import Foundation
public import Perdure
package import PerdureHistory
public import PerdureStore

/// Looks at runs and sends them messages, from any process. What it sends is durable when a call returns, and reaches the run as
/// soon as an engine is there.
///
/// Whatever a call says that it throws, it also throws `PerdureError` with the store's code if the store cannot be used, and with
/// `engine_stopped` if it was closed.
///
/// A message whose `id` was sent before, of the same kind and with the same name, is the same message: it is taken in once, and the call
/// succeeds, also if the run has closed by it. With another content it is refused with `message_conflict`. Without an `id` every call is a
/// message of its own.
///
/// A call whose task is cancelled goes on to its end, unless it waits or does many things: those say so.
public struct Client: Sendable {
    package let store: any Store
    /// The one namespace that it sees, if it is confined to one.
    public let namespace: String?
    /// Where messages go in: the store itself, or the engine's journal.
    let deliver: @Sendable (CommitItem) async throws -> CommitResult
    /// Told of runs by the engine that this client belongs to, if it does.
    let waiters: RunWaiters?
    /// Names deliveries and forks that have no name of their own.
    let random: @Sendable () -> UInt64
    /// The build of the engine that this client belongs to, if it does.
    let build: String?
    /// Has that engine look whom it can admit.
    let onQueueChange: @Sendable () -> Void

    /// Opens a store beside the engine that may be using it.
    ///
    /// - Parameter namespace: If given, the client is confined to it, see `confined(to:)`.
    /// - Throws: `PerdureError` whose code says why the store cannot be used, such as `store_missing` or `store_not_ours`.
    public init(_ configuration: StoreConfiguration, namespace: String? = nil) async throws {
        if let namespace { try Self.require(namespace: namespace) }
        do {
            let store = try await configuration.open(.client)
            let groups = CommitGroups(store)
            self.init(store: store, namespace: namespace) { item in try await Self.commit(item, in: groups) }
        } catch let error as StoreError {
            throw error.publicError
        }
    }

    init(
        store: any Store, namespace: String? = nil, waiters: RunWaiters? = nil,
        random: @escaping @Sendable () -> UInt64 = { .random(in: .min ... .max) }, build: String? = nil,
        onQueueChange: @escaping @Sendable () -> Void = {},
        deliver: @escaping @Sendable (CommitItem) async throws -> CommitResult
    ) {
        self.store = namespace.map { ConfinedStore(store, to: $0) } ?? store
        self.namespace = namespace
        self.waiters = waiters
        self.random = random
        self.build = build
        self.onQueueChange = onQueueChange
        let deliver: @Sendable (CommitItem) async throws -> CommitResult = { item in
            let result = try await deliver(item)
            // It was to begin before history was recovered, and may have begun in what is lost: it says so.
            guard case .refused(.mayHaveBegun(let lost)) = result else { return result }
            return try await deliver(item.saying(lost))
        }
        guard let namespace else {
            self.deliver = deliver
            return
        }
        self.deliver = { item in
            switch ConfinedStore.confine(item, to: namespace) {
            case .success(let confined): try await deliver(confined)
            case .failure(let refusal): .refused(.invalid(refusal.reason))
            }
        }
    }

    /// Writes straight into the store.
    static func commit(_ item: CommitItem, in groups: CommitGroups) async throws -> CommitResult {
        do throws(StoreError) {
            return try await groups.commit(item)
        } catch {
            throw error.publicError
        }
    }

    /// Ends the use of the store. For a client that was opened by itself: the one of an engine is closed with the engine.
    public func close() async { await store.close() }

    // MARK: Looking

    /// What the store knows of a run at a glance: its workflow, its state, its times.
    ///
    /// - Throws: `PerdureError` with `run_unknown`.
    public func run(_ id: RunID) async throws -> RunInfo { RunInfo(try await record(id)) }

    /// The run itself, or, if it was continued as another one, and that perhaps as another, the last of them.
    ///
    /// - Throws: `PerdureError` with `run_unknown`.
    public func latest(of id: RunID) async throws -> RunID {
        let record = try await record(id)
        guard record.successor != nil else { return id }
        return try await guarded { try await store.lastOfChain(begunBy: record.chain.run) }?.id ?? id
    }

    /// Runs, newest first.
    ///
    /// - Parameter labels: Only runs with all of these labels.
    /// - Throws: `PerdureError` with the store's code; `store_corrupt` also if the row of one of them cannot be read.
    public func runs(workflow: String? = nil, labels: [String: String] = [:], limit: Int = 100) async throws -> [RunInfo] {
        try await guarded { try await store.runs(RunFilter(workflow: workflow, labels: labels, limit: limit)) }
            .map { RunInfo($0) }
    }

    /// The run's labels.
    ///
    /// - Throws: `PerdureError` with `run_unknown`.
    public func labels(of id: RunID) async throws -> [String: String] {
        let number = try await record(id).number
        return try await guarded { try await store.labels(of: [number])[number] } ?? [:]
    }

    /// What the run reported last (`WorkflowContext.report`), as JSON, and when; `nil` if it has reported nothing. The run is not woken.
    ///
    /// - Throws: `PerdureError` with `run_unknown` or `run_expired`.
    public func status(of id: RunID) async throws -> (json: Data, at: Date)? {
        let record = try await record(id), number = record.number
        try record.requireHistory()
        guard let event = try await guarded({ try await store.marked(.statusReported, nil, in: number) }).last else { return nil }
        do {
            return (Data(try event.inputBytes()), event.at.date)
        } catch {
            throw PerdureError(.storeCorrupt, "The last status of run \(id) cannot be read.", cause: error)
        }
    }

    /// How many runs there are in each state that any is in, by the state's name (`RunInfo.state`; those that were continued are
    /// among the completed ones). Cheap enough to be asked for often.
    ///
    /// - Throws: `PerdureError` with the store's code.
    public func counts(namespace: String? = nil) async throws -> [String: Int] {
        let counts = try await guarded { try await store.counts(namespace: namespace) }
        return Dictionary(uniqueKeysWithValues: counts.map { ($0.key.rawValue, $0.value) })
    }

    /// Approvals of all runs that wait for a decision, oldest first.
    ///
    /// - Throws: `PerdureError` with the store's code.
    public func pendingApprovals(namespace: String? = nil, limit: Int = 1_000) async throws -> [PendingApproval] {
        let query = RequestQuery(namespace: namespace, kind: .approvalRequested, limit: limit)
        return try await openRequests(query).map(PendingApproval.init)
    }

    /// Questions of all runs that wait for an answer, oldest first.
    ///
    /// - Throws: `PerdureError` with the store's code.
    public func pendingQuestions(namespace: String? = nil, limit: Int = 1_000) async throws -> [PendingQuestion] {
        let query = RequestQuery(namespace: namespace, kind: .questionAsked, limit: limit)
        return try await openRequests(query).map(PendingQuestion.init)
    }

    package func openRequests(_ query: RequestQuery) async throws -> [OpenRequest] {
        try await guarded { try await store.openRequests(query) }
    }

    /// The run's approvals that wait for a decision, with what is to be shown to whoever decides.
    ///
    /// - Throws: `PerdureError` with `run_unknown` or `run_expired`.
    public func pendingApprovals(of id: RunID) async throws -> [PendingApproval] {
        try await view(of: id).openApprovals.compactMap { step in
            guard let approval = step.approval else { return nil }
            return PendingApproval(
                run: id, step: step.subject, view: Data(approval.view), digest: approval.digest, approver: approval.approver,
                requestedAt: approval.requestedAt.date, expiresAt: approval.expires?.date)
        }
    }

    /// The run's questions that wait for an answer.
    ///
    /// - Throws: `PerdureError` with `run_unknown` or `run_expired`.
    public func pendingQuestions(of id: RunID) async throws -> [PendingQuestion] {
        try await view(of: id).openQuestions.map {
            PendingQuestion(run: id, name: $0.subject, text: $0.text, approver: $0.approver, expiresAt: $0.expires?.date)
        }
    }

    // MARK: Messages

    /// Sends a signal.
    ///
    /// - Throws: `PerdureError` with `run_unknown`, `run_closed`, `name_invalid` (the id), `value_not_encodable` or `payload_too_large`.
    public func signal<S: Signal>(
        _ run: RunID, _ type: S.Type, _ payload: S.Payload, id: String? = nil, by sender: Principal
    ) async throws {
        let bytes: Payload
        do {
            bytes = try Payload.encode(payload, what: "the payload of signal '\(S.name)'")
        } catch {
            throw PerdureError(error)
        }
        try await send(run, .signal, name: S.name, payload: bytes.bytes, id: id, by: sender)
    }

    /// Sends a signal whose payload is given as JSON.
    ///
    /// - Throws: As the other `signal`, with `name_invalid` also for a name that cannot be one, and `input_undecodable` for what is not
    ///   JSON.
    public func signal(_ run: RunID, name: String, json: Data, id: String? = nil, by sender: Principal) async throws {
        guard Name.isIdentifier(name) else {
            throw PerdureError(
                .nameInvalid, "'\(name)' cannot be a signal's name: use 1 to 128 letters, digits, '-', '_' and '.'.")
        }
        try await send(
            run, .signal, name: name, payload: try canonical(json, what: "the payload of signal '\(name)'"), id: id, by: sender)
    }

    /// Decides on an approval that was looked at. Only this very view is approved; a changed one is refused.
    ///
    /// - Throws: `PerdureError` with `run_unknown`, `run_closed`, `run_expired`, `approval_unknown`, `approval_closed`,
    ///   `approval_mismatch`, `approval_not_permitted` or `name_invalid` (the id).
    public func decide(
        _ approval: PendingApproval, approve: Bool, reason: String? = nil, id: String? = nil, by sender: Principal
    ) async throws {
        try await decide(
            approval.run, step: approval.step, digest: approval.digest, approve: approve, reason: reason, id: id, by: sender)
    }

    /// - Parameters:
    ///   - digest: Of the view that was looked at.
    ///   - mayDecide: Whether the sender is one of those who are asked, as the history names them (`Approver.description`).
    package func decide(
        _ run: RunID, step: String, digest: String, approve: Bool, reason: String?, id: String?, by sender: Principal,
        if mayDecide: (String) -> Bool = { _ in true }
    ) async throws {
        let decision = try encoded(Decision(isApproved: approve, viewDigest: digest, reason: reason))
        try await once(id, .decision, step, [decision], to: run) {
            try await check(run, step, digest, approve, sender, mayDecide)
            try await send(run, .decision, name: step, payload: decision, id: id, by: sender)
        }
    }

    private func check(
        _ run: RunID, _ step: String, _ digest: String, _ approve: Bool, _ sender: Principal, _ mayDecide: (String) -> Bool
    ) async throws {
        let view = try await view(of: run)
        guard let open = view.step(step)?.approval else {
            throw PerdureError(.approvalUnknown, "Run \(run) has asked for no approval of '\(step)'.")
        }
        try Self.require(sender, mayDecide, open.approver, "the approval of '\(step)'")
        guard open.isOpen, open.expires.map({ store.now() <= $0 }) ?? true else {
            throw PerdureError(
                .approvalClosed, "The approval of '\(step)' is decided or has expired; look at the run again.")
        }
        guard open.digest == digest else {
            throw PerdureError(
                .approvalMismatch,
                "What was shown for '\(step)' is not what would be executed; look at the approval again.")
        }
        if approve, let starter = view.starter, starter.mayBe(sender) {
            throw PerdureError(
                .approvalNotPermitted,
                "\(sender) started this run, perhaps under another name, and cannot approve its actions; somebody else has to.")
        }
    }

    private static func require(
        _ sender: Principal, _ mayDecide: (String) -> Bool, _ approver: String, _ what: String
    ) throws {
        guard mayDecide(approver) else {
            throw PerdureError(.approvalNotPermitted, "\(sender) is not among those whom \(what) asks: '\(approver)'.")
        }
    }

    /// Answers a question with a value, which has to be of the type that the workflow asks for.
    ///
    /// - Throws: `PerdureError` with `run_unknown`, `run_closed`, `run_expired`, `question_unknown`, `question_closed`, `name_invalid`
    ///   (the id), `value_not_encodable` or `payload_too_large`. An answer of another type is accepted, and refused in the run's history;
    ///   the question then stays open.
    public func answer(
        _ run: RunID, question: String, with answer: some Encodable, id: String? = nil, by sender: Principal
    ) async throws {
        try await self.answer(run, question: question, json: Data(try encoded(answer)), id: id, by: sender)
    }

    /// Answers a question with JSON.
    ///
    /// - Throws: As the other `answer`, and `input_undecodable` for what is not JSON.
    public func answer(_ run: RunID, question: String, json: Data, id: String? = nil, by sender: Principal) async throws {
        try await self.answer(run, question: question, json: json, id: id, by: sender) { _ in true }
    }

    /// - Parameter mayAnswer: Whether the sender is one of those who are asked, as the history names them (`Approver.description`).
    package func answer(
        _ run: RunID, question: String, json: Data, id: String?, by sender: Principal, if mayAnswer: (String) -> Bool
    ) async throws {
        let answer = try canonical(json, what: "the answer")
        try await once(id, .answer, question, [answer], to: run) {
            let view = try await view(of: run)
            guard let open = view.questions.last(where: { $0.subject == question }) else {
                throw PerdureError(.questionUnknown, "Run \(run) has not asked '\(question)'.")
            }
            try Self.require(sender, mayAnswer, open.approver, "the question '\(question)'")
            guard open.isOpen else {
                throw PerdureError(.questionClosed, "The question '\(question)' is answered or has expired.")
            }
            try await send(run, .answer, name: question, payload: answer, id: id, by: sender)
        }
    }

    /// Asks the run to end. It gets `CancellationError` where it waits, and undoes what it has done. A run without code that fits takes
    /// the message in when there is some.
    ///
    /// - Throws: `PerdureError` with `run_unknown`, `run_closed` or `name_invalid` (the id).
    public func cancel(_ run: RunID, id: String? = nil, by sender: Principal) async throws {
        try await send(run, .cancel, id: id, by: sender)
    }

    /// Ends the run without its code: nothing is undone, and what may have happened is in doubt.
    ///
    /// - Throws: `PerdureError` with `run_unknown`, `run_closed`, `name_invalid` (the id) or `payload_too_large`.
    public func terminate(_ run: RunID, reason: String? = nil, id: String? = nil, by sender: Principal) async throws {
        try await send(run, .terminate, payload: try reason.map { try encoded($0) }, id: id, by: sender)
    }

    /// Lets a dead letter or an idempotent step in doubt try again, or a run (no step): one that was parked because it takes its
    /// process down, which gets its tries anew, or one that is blocked for a reason that has passed, such as a limit that was too low,
    /// which every build tries once more.
    ///
    /// An at-most-once step in doubt is not tried again: the run refuses that, in its history, and the step waits for `resolve`. So it
    /// does, with `run_restored`, if history is lost after this was said of a step and before it is done.
    ///
    /// - Throws: `PerdureError` with `run_unknown`, `run_closed` or `name_invalid` (the id), and, for a step, `run_expired`,
    ///   `step_unknown` or `step_not_stuck`.
    public func retry(_ run: RunID, step: String? = nil, id: String? = nil, by sender: Principal) async throws {
        guard let step else { return try await send(run, .retry, id: id, by: sender) }
        try await once(id, .retry, step, nil, to: run) {
            let view = try await view(of: run)
            _ = try stuck(step, of: run, view)
            let payload = try view.lossMark.map { try encoded(StepRetry(mark: $0)) }
            try await send(run, .retry, name: step, payload: payload, id: id, by: sender)
        }
    }

    /// Clears up a step in doubt or a dead letter.
    ///
    /// It works without the workflow's code as well: where nobody hosts it, where the run is blocked or poisoned, which it then stays, and
    /// after the run was terminated. Then an `undo` is refused, in the history, unless the run is neither poisoned nor terminated and the
    /// step is a typed one that is registered with the engine; and but for such a one nobody can check that a result is of the right type.
    ///
    /// That something did not happen is said of what the history shows when this is called. If a part of it turns out to be lost before the
    /// run has heeded it, or with that, the run refuses it, in its history, with `run_restored`.
    ///
    /// - Throws: `PerdureError` with `run_unknown`, `run_expired`, `run_closed`, `step_unknown`, `step_not_stuck` (also while the last
    ///   attempt may still act), `name_invalid` (the id), `input_undecodable` for a result that is not JSON, or `payload_too_large`.
    public func resolve(
        _ run: RunID, step: String, _ resolution: StepResolution, reason: String? = nil, id: String? = nil, by sender: Principal
    ) async throws {
        let kind: ResolutionKind, result: Data?
        switch resolution {
        case .happened(let output): (kind, result) = (.happened, output)
        case .didNotHappen: (kind, result) = (.didNotHappen, nil)
        case .undo(let output): (kind, result) = (.undo, output)
        case .abort: (kind, result) = (.abort, nil)
        }
        let output = try result.map { Data(try canonical($0, what: "the result of '\(step)'")) }
        let view = try await view(of: run)
        func payload(_ mark: LossMark?) throws -> [UInt8] {
            try encoded(Resolution(kind: kind, output: output, reason: reason, mark: mark))
        }
        // It named the mark that was the last one when it was said.
        let earlier = [nil] + view.lossMarks.map(Optional.some)
        try await once(id, .resolve, step, try earlier.map(payload), to: run) {
            let stuck = try stuck(step, of: run, view)
            if kind == .didNotHappen || kind == .abort, let quiet = stuck.quietAfter, store.now() < quiet {
                throw PerdureError(
                    .stepNotStuck,
                    "The last attempt of '\(step)' may still act until \(quiet); say that it did not happen after that.")
            }
            try await send(run, .resolve, name: step, payload: try payload(view.lossMark), id: id, by: sender)
        }
    }

    // MARK: Parts

    package func record(_ id: RunID) async throws -> RunRecord {
        guard let record = try await guarded({ try await store.run(id) }) else {
            throw PerdureError(.runUnknown, "There is no run \(id) in this store.", metadata: [("run", id.description)])
        }
        return record
    }

    /// The last run of its chain. Unlike the record of `latest(of:)` it is not that of a run that was continued meanwhile.
    package func latestRecord(of id: RunID) async throws -> RunRecord {
        var latest = try await record(id)
        while latest.successor != nil {
            let next = try await self.latest(of: latest.id)
            // Damage: a successor is named that is not there.
            if next == latest.id { break }
            latest = try await record(next)
        }
        return latest
    }

    /// The whole history; of an expired run its one event.
    package func history(of id: RunID) async throws -> [Event] {
        var events: [Event] = []
        try await readHistory(of: try await record(id)) { events += $0 }
        return events
    }

    /// - Throws: `PerdureError` with `run_unknown` or `run_expired`.
    package func view(of id: RunID) async throws -> RunView {
        let record = try await record(id)
        try record.requireHistory()
        var view = RunView()
        try await readHistory(of: record) { view.add($0) }
        return view
    }

    /// Hands over one page of the history after the other.
    package func readHistory(of record: RunRecord, _ take: ([Event]) -> Void) async throws {
        try await guarded {
            var last: Int64 = 0
            while true {
                let page = try await store.events(of: record.number, after: last, limit: 1_000)
                guard let end = page.last?.seq else { return }
                take(page)
                last = end
            }
        }
    }

    /// The event that closed the run, found from the end of the history.
    package func final(of record: RunRecord) async throws -> Event? {
        try await guarded {
            var first = Int64.max
            while true {
                let page = try await store.events(of: record.number, before: first, limit: 16)
                if let final = page.first(where: \.kind.isFinal) { return final }
                guard let seq = page.last?.seq, page.allSatisfy(\.kind.mayFollowFinal) else { return nil }
                first = seq
            }
        }
    }

    /// The step that waits for a person.
    private func stuck(_ step: String, of run: RunID, _ view: RunView) throws -> RunView.Step {
        guard let known = view.undo(step).flatMap({ $0.isStuck ? $0 : nil }) ?? view.step(step) else {
            throw PerdureError(.stepUnknown, "Run \(run) has no step '\(step)'.")
        }
        guard known.isStuck else {
            throw PerdureError(.stepNotStuck, "Step '\(step)' of run \(run) is neither in doubt nor a dead letter.")
        }
        return known
    }

    /// Does what checks and sends a message, unless the run has the message already. A refusal counts only if it still has not after that:
    /// what is checked may be otherwise because of this very message, sent by another call that was on its way.
    ///
    /// - Parameter payloads: What the message may have had as its payload, if it was sent before; nil if its id says enough.
    /// - Throws: `PerdureError` with `message_conflict` if another one was sent under its id, and what the body throws.
    func once(
        _ id: String?, _ kind: InboxKind, _ name: String, _ payloads: [[UInt8]?]?, to run: RunID, _ send: () async throws -> Void
    ) async throws {
        guard let id else { return try await send() }
        try Self.require(id: id)
        if try await wasSent(id, kind, name, payloads, to: run) { return }
        do {
            try await send()
        } catch let error as PerdureError where payloads == nil || error.code != .messageConflict {
            guard try await wasSent(id, kind, name, payloads, to: run) else { throw error }
        }
    }

    /// Whether the run has the message. Its id has to be one that can be recorded.
    func wasSent(
        _ id: String, _ kind: InboxKind, _ name: String, _ payloads: [[UInt8]?]?, to run: RunID
    ) async throws -> Bool {
        let record = try await record(run)
        let known = try await guarded { try await store.knownDelivery(Self.deliveryID(kind, name, id), of: record.number) }
        guard let known else { return false }
        guard payloads?.contains(where: { known.isSame(as: $0, salt: record.salt) }) ?? true else { throw messageConflict(run) }
        return true
    }

    private func messageConflict(_ run: RunID) -> PerdureError {
        PerdureError(
            .messageConflict, "Another message was sent to run \(run) under this id. Nothing was sent; use another id.",
            metadata: [("run", run.description)])
    }

    private static func require(id: String) throws {
        guard Name.isKey(id) else {
            throw PerdureError(.nameInvalid, "The delivery id cannot be recorded: use 1 to 256 bytes without control characters.")
        }
    }

    static func deliveryID(_ kind: InboxKind, _ name: String, _ id: String) -> String { "\(kind.rawValue):\(name):\(id)" }

    func send(
        _ run: RunID, _ kind: InboxKind, name: String = "", payload: [UInt8]? = nil, id: String? = nil, by sender: Principal
    ) async throws {
        if let id { try Self.require(id: id) }
        let delivery = Delivery(
            to: run, id: id.map { Self.deliveryID(kind, name, $0) } ?? uniqueName(), kind: kind, name: name, payload: payload,
            sender: sender)
        try await send(delivery)
    }

    /// A random UUID.
    func uniqueName() -> String {
        func hex(_ word: UInt64, _ first: Int, _ last: Int) -> String {
            let digits = String(word, radix: 16)
            let padded = String(repeating: "0", count: 16 - digits.count) + digits
            return String(padded.dropFirst(first).prefix(last - first))
        }
        let high = random() & ~0xF000 | 0x4000, low = random() & ~(0b11 << 62) | 0b10 << 62
        return "\(hex(high, 0, 8))-\(hex(high, 8, 12))-\(hex(high, 12, 16))-\(hex(low, 0, 4))-\(hex(low, 4, 16))"
    }

    func send(_ delivery: Delivery) async throws {
        let run = delivery.run
        if let payload = delivery.payload, payload.count > Payload.defaultLimit {
            throw PerdureError(PayloadError.tooLarge(what: "the message", size: payload.count, limit: Payload.defaultLimit))
        }
        switch try await deliver(.deliver(delivery)) {
        case .delivered: return
        case .refused(.runUnknown):
            throw PerdureError(.runUnknown, "There is no run \(run) in this store.", metadata: [("run", run.description)])
        case .refused(.runClosed):
            throw PerdureError(
                .runClosed, "Run \(run) is closed; nothing can be sent to it any more.", metadata: [("run", run.description)])
        case .refused(.deliveryIDTaken): throw messageConflict(run)
        case .refused(.invalid(let reason)):
            throw PerdureError(.usage, "The store cannot hold the message: \(reason). Nothing was sent; change it.")
        case .refused(let refusal):
            throw PerdureError(.storeUnavailable, "The store refused the message: \(refusal). Nothing was sent; try again.")
        case .created, .keyTaken, .advanced, .scheduled:
            throw PerdureError(
                .storeUnavailable,
                "The store gave an answer that makes no sense; the message may have been sent. Send it again with the same id.",
                mayHaveHappened: true)
        }
    }

    func canonical(_ json: Data, what: String) throws -> [UInt8] {
        do {
            return try JSONValue.parse(Array(json), what: what).canonicalBytes
        } catch {
            throw PerdureError(error)
        }
    }

    func encoded(_ value: some Encodable) throws -> [UInt8] {
        do {
            return try Payload.encode(value, what: "a message").bytes
        } catch {
            throw PerdureError(error)
        }
    }

    package func guarded<T>(_ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let error as StoreError {
            throw error.publicError
        }
    }
}

extension RunRecord {
    /// Why nothing more is to be had of the run, if its history is broken.
    var quarantine: PerdureError? {
        guard state == .quarantined else { return nil }
        return PerdureError(.runQuarantined, note ?? "The history of run \(id) is broken.", metadata: [("run", "\(id)")])
    }

    /// - Throws: `PerdureError` with `run_expired`.
    package func requireHistory() throws {
        guard let tombstone else { return }
        throw PerdureError(
            .runExpired,
            "The history of run \(id) was removed at \(tombstone.expiredAt), as its retention says. The run is \(state.rawValue); it had "
                + "\(tombstone.lastSeq) events, the last one with hash \(tombstone.lastHash).",
            metadata: [("run", id.description)])
    }
}
