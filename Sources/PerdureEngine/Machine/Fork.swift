import Crypto
package import Perdure
package import PerdureHistory
import PerdureStore

/// Where a run that is a fork comes from, as its first event says.
package struct ForkOrigin: Sendable, Hashable {
    package var run: RunID
    /// The last event of the source that counts for the fork, and its hash.
    package var seq: Int64
    package var hash: String
    /// The last event of the fork that is a copy.
    package var copied: Int64
    /// Where the source is a fork itself: up to where the copy holds what was copied before, and for which fork. Oldest first.
    package var earlier: [Earlier]

    package struct Earlier: Sendable, Hashable {
        package var run: RunID
        package var copied: Int64

        package init(run: RunID, copied: Int64) {
            self.run = run
            self.copied = copied
        }
    }

    package init(run: RunID, seq: Int64, hash: String, copied: Int64, earlier: [Earlier] = []) {
        self.run = run
        self.seq = seq
        self.hash = hash
        self.copied = copied
        self.earlier = earlier
    }

    package init?(_ value: JSONValue) {
        guard let object = value.objectValue, let run = object["run"]?.stringValue.flatMap(RunID.init),
            let seq = object["seq"]?.integerValue, let hash = object["hash"]?.stringValue,
            let copied = object["copied"]?.integerValue, copied > 0
        else { return nil }
        let earlier = object["earlier"]?.arrayValue?.compactMap { value -> Earlier? in
            guard let run = value["run"]?.stringValue.flatMap(RunID.init), let copied = value["copied"]?.integerValue else {
                return nil
            }
            return Earlier(run: run, copied: copied)
        }
        self.init(run: run, seq: seq, hash: hash, copied: copied, earlier: earlier ?? [])
    }

    package var json: JSONValue {
        let earlier = earlier.map { earlier -> JSONValue in
            ["run": .string(earlier.run.description), "copied": .integer(earlier.copied)]
        }
        var object = JSONObject([
            ("run", .string(run.description)), ("seq", .integer(seq)), ("hash", .string(hash)), ("copied", .integer(copied)),
        ])
        if !earlier.isEmpty { object["earlier"] = .array(earlier) }
        return .object(object)
    }
}

/// Makes the history that a fork begins with from that of its source. Pure.
///
/// Copied is what the code has been told: everything about steps, children and waits that were over by then, and the messages that the
/// run had taken in. What was under way belongs to the source alone, and so do approvals that were not used: the code of the fork asks
/// for all of that anew.
struct ForkBuilder {
    let source: RunRecord
    /// The source's history up to the point.
    let events: [Event]
    let reason: String?
    let sender: Principal
    let now: Timestamp

    /// Why there can be no fork of what the view shows; nil if there can.
    static func problem(of view: RunView, at seq: Int64) -> String? {
        guard let last = view.last, last.seq == seq else { return ResetProblem.noSuchEvent }
        if let final = view.final, final.seq < seq { return "the run had ended before it (event \(final.seq))" }
        if view.resetting != nil { return "the run was being reset at this event" }
        return nil
    }

    func make(version: String, key: String?, labels: JSONValue?, build: String, id: RunID) -> NewRun? {
        guard let first = events.first, first.kind == .runStarted, case .inline(let input)? = first.input, let last = events.last
        else { return nil }
        let (copies, places) = copies()
        let origin = ForkOrigin(
            run: source.id, seq: last.seq, hash: "\(last.hash)", copied: Int64(copies.count) + 1,
            earlier: earlier(first, places, before: last.seq))
        let record = RunRecord(
            id: id, namespace: source.namespace, workflow: source.workflow, version: version, key: key,
            inputDigest: source.inputDigest, salt: source.salt, state: .ready, createdAt: now)
        var head = ChainHead.start(namespace: record.namespace, run: id.description)
        let started = EventDraft(
            .runStarted,
            attributes: .make(
                ("workflow", .string(record.workflow)), ("version", .string(version)), ("key", key.map(JSONValue.string)),
                ("labels", labels), ("by", JSONValue(sender)), ("build", .string(build)), ("fork", origin.json)),
            input: .inline(input))
        var made = [head.append(started, run: id.description, now: first.at)]
        for copy in copies { made.append(head.append(copy.draft, run: id.description, now: copy.at)) }
        let forked = EventDraft(
            .runForked,
            attributes: .make(
                ("by", JSONValue(sender)), ("run", .string(source.id.description)), ("seq", .integer(last.seq)),
                ("reason", reason.map(JSONValue.string))))
        made.append(head.append(forked, run: id.description, now: now))
        return NewRun(record: record, events: made)
    }

    /// What a source that is a fork itself says of its own copy, in the places that it has now.
    private func earlier(_ first: Event, _ places: [Int64], before seq: Int64) -> [ForkOrigin.Earlier] {
        guard let origin = (try? first.attributes.object())?["fork"].flatMap(ForkOrigin.init) else { return [] }
        return (origin.earlier + [ForkOrigin.Earlier(run: source.id, copied: origin.copied)]).compactMap { earlier in
            guard earlier.copied < seq, earlier.copied < places.count else { return nil }
            return ForkOrigin.Earlier(run: earlier.run, copied: places[Int(earlier.copied)])
        }
    }

    /// The copies, and for each event of the source, by its number, which of the fork's is the last copy by then.
    private func copies() -> (copies: [(draft: EventDraft, at: Timestamp)], places: [Int64]) {
        let open = OpenParts(RunView(events), events)
        var copies: [(draft: EventDraft, at: Timestamp)] = []
        var places: [Int64] = [0, 1]
        for event in events.dropFirst() {
            if isCopied(event), !open.contains(event), let draft = draft(of: event, places) { copies.append((draft, event.at)) }
            places.append(Int64(copies.count) + 1)
        }
        return (copies, places)
    }

    private func isCopied(_ event: Event) -> Bool {
        switch event.kind {
        case .runCancelRequested, .runReset, .signalReceived, .updateReceived, .updateCompleted, .updateRejected, .versionPatched,
            .statusReported, .labelsChanged:
            true
        case .operatorAction: (try? event.attributes.object())?.has("refused") == false
        default: !event.kind.rawValue.hasPrefix("run.") && event.kind != .signalUndelivered
        }
    }

    /// Resets name events by their numbers, which are others in the copy. Marks of a loss are not copied, and so nothing names one.
    private func draft(of event: Event, _ places: [Int64]) -> EventDraft? {
        var attributes = event.attributes
        if [.runReset, .operatorAction, .stepResolved, .undoResolved].contains(event.kind) {
            guard var object = try? attributes.object() else { return nil }
            if event.kind == .runReset || event.kind == .operatorAction, let to = object["to"]?.integerValue, to > 0,
                to < places.count
            {
                object["to"] = .integer(places[Int(to)])
            }
            object["mark"] = nil
            attributes = Attributes(object)
        }
        return EventDraft(event.kind, subject: event.subject, attributes: attributes, input: event.input, output: event.output)
    }

    /// What was under way at the point, by what the events speak of.
    private struct OpenParts {
        private var steps: [String: Int64] = [:]
        private var undos: [String: Int64] = [:]
        private var children: [String: Int64] = [:]
        private var waits: Set<Int64> = []

        init(_ view: RunView, _ events: [Event]) {
            for step in view.currentSteps where !step.isOver { steps[step.subject] = step.firstSeq }
            for step in view.steps where step.isUndo && !step.isOver { undos[step.subject] = step.firstSeq }
            for child in view.openChildren { children[child.subject] = child.startedAt }
            let timers = Set(view.openTimers.map(\.subject)), questions = Set(view.openQuestions.map(\.subject))
            var found: [String: Int64] = [:]
            for event in events {
                if event.kind == .timerStarted, timers.contains(event.subject) { found["t" + event.subject] = event.seq }
                if event.kind == .questionAsked, questions.contains(event.subject) { found["q" + event.subject] = event.seq }
            }
            waits = Set(found.values)
        }

        func contains(_ event: Event) -> Bool {
            let kind = event.kind.rawValue
            if waits.contains(event.seq) { return true }
            if kind.hasPrefix("undo.") { return undos[event.subject].map { $0 <= event.seq } ?? false }
            if kind.hasPrefix("child.") { return children[event.subject].map { $0 <= event.seq } ?? false }
            if kind.hasPrefix("step.") || kind.hasPrefix("approval.") {
                return steps[event.subject].map { $0 <= event.seq } ?? false
            }
            guard event.kind == .operatorAction, !event.subject.isEmpty else { return false }
            // What a person let try again.
            return [steps[event.subject], undos[event.subject]].contains { $0.map { $0 <= event.seq } ?? false }
        }
    }
}

// A fork: a run whose history begins with a copy of another one's.
extension RunMachine {
    /// Whether what happens at this event happened to the source.
    func isCopy(_ seq: Int64) -> Bool { seq <= copiedUntil }

    /// From here on the fork is a run of its own. What it has copied belongs to the source: it undoes nothing of it.
    mutating func feedForked(_ event: Event) throws {
        guard copiedUntil > 0, event.seq == copiedUntil + 1 else { throw unasked(event) }
        completed = []
        for subject in adoptable.keys { adoptable[subject]?.isForeign = true }
        for id in steps.keys.sorted() {
            guard let step = steps[id] else { continue }
            if step.family == .undo {
                undoIsOver(step)
            } else {
                // The code asked for it at a time of the source; under the fork's key nothing was sent before now.
                steps[id]?.windowStart = event.at
            }
        }
    }

    /// What random values are made of: those of the source up to the point, others after it. What the source has copied itself goes
    /// by the run that this was copied from.
    package var randomness: [UInt8] {
        guard let run = forks.last(where: { $0.copied <= lastSeq })?.run else { return identity.salt }
        var hash = SHA256()
        hash.update(data: Array("perdure.random.fork.1".utf8))
        hash.update(data: identity.salt)
        hash.update(data: Array(run.description.utf8))
        return Array(hash.finalize())
    }
}
