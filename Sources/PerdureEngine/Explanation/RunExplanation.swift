package import Perdure
package import PerdureHistory
package import PerdureStore

/// Says in a few sentences in exactly which state a run is, what it waits for, and who can move it. Pure: the run's row and what
/// its history says.
package struct RunExplanation: Sendable {
    /// Something that somebody can do now.
    package struct Move: Sendable, Hashable {
        /// The words of the command, without the program's name.
        package var command: [String]
        /// What it means, as the end of a sentence.
        package var meaning: String

        package init(_ command: [String], _ meaning: String) {
            self.command = command
            self.meaning = meaning
        }
    }

    package private(set) var sentences: [String] = []
    package private(set) var moves: [Move] = []

    private let record: RunRecord
    private let view: RunView
    private let children: [String: RunExplanation]
    private let keys: [BusinessKeyWait]
    private let heartbeats: [HeartbeatRecord]
    private let now: Timestamp

    /// - Parameters:
    ///   - unread: How many messages are accepted but not taken in yet.
    ///   - keys: The business keys that the run waits for. No event tells of them.
    ///   - heartbeats: The signs of life of what is under way. No event tells of them.
    ///   - children: What is to be said of the children that the run waits for, by their subjects.
    ///   - now: Times are told relative to it.
    package init(
        _ record: RunRecord, _ view: RunView, unread: Int = 0, keys: [BusinessKeyWait] = [],
        heartbeats: [HeartbeatRecord] = [], children: [String: RunExplanation] = [:], now: Timestamp
    ) {
        self.record = record
        self.view = view
        self.keys = keys
        self.heartbeats = heartbeats
        self.children = children
        self.now = now
        sentences.append(opening)
        if let continues = view.continues { sentences.append("It continues run \(continues.run).") }
        if let reset, !record.state.isFinal { sentences.append(reset) }
        if record.state.isFinal {
            explainEnd()
        } else {
            explainOpen(unread: unread)
        }
    }

    /// Says something that neither the row nor the history knows.
    mutating func add(_ sentence: String) { sentences.append(sentence) }

    mutating func move(_ words: [String], _ purpose: String) { moves.append(Move(words, purpose)) }

    private var run: String { record.id.description }

    private func time(_ time: Timestamp) -> String { ReadableTime.point(time, seenAt: now) }

    /// Who could not be authenticated is said to be so.
    package static func name(_ value: JSONValue?) -> String? {
        value.flatMap(Principal.init).map(name)
    }

    package static func name(_ who: Principal) -> String {
        "\(who.kind.rawValue) \(who.id) (\(who.authentication.isEmpty ? "unauthenticated" : who.authentication))"
    }

    // MARK: The state

    private var opening: String {
        let name = "Run \(run) of \(record.workflow) \(record.version)"
        switch record.state {
        case .queued: return "\(name) is queued: it begins when its queue has a place for it."
        case .ready: return "\(name) is ready: the next engine that hosts \(record.workflow) \(record.version) takes it on."
        case .running:
            let owner = record.owner?.rawValue ?? "unknown"
            return "\(name) is running on node \(owner); if that process died, the next engine on this store takes it over."
        case .waiting:
            let wake = record.wakeAt.map { " and wakes by itself at \(time($0)) at the latest" } ?? ""
            return "\(name) is waiting\(wake).\(record.note.map { " \($0.prefix(1).uppercased())\($0.dropFirst())." } ?? "")"
        case .blocked:
            return "\(name) is blocked: history and code do not fit. \(record.note ?? view.blockedReason ?? "")"
        case .parked:
            // The steps that are stuck get a sentence each.
            let reason = view.stuckSteps.isEmpty ? record.note ?? view.parkedReason ?? "" : ""
            return "\(name) is parked: nothing but a person's decision moves it. \(reason)"
        case .paused: return "\(name) is paused\(pause): nothing of it is started until it is resumed."
        case .quarantined:
            return "\(name) is quarantined: its history is broken, so it is never executed again. \(record.note ?? "")"
        case .completed where record.successor != nil:
            return "\(name) was continued as run \(record.successor?.description ?? "")\(closing)."
        case .completed: return "\(name) completed\(closing)."
        case .failed: return "\(name) failed\(closing)\(failure)."
        case .cancelled: return "\(name) was cancelled\(closing); what it had done was undone in reverse order."
        case .terminated: return "\(name) was terminated\(closing)\(termination); nothing was undone."
        }
    }

    /// What is going on with a run that is being reset.
    private var reset: String? {
        view.resetting.map { "It is being reset to event \($0.to): what was under way ends first, then it goes on from there." }
    }

    private var pause: String {
        let who = view.standing.pause?.by.map { " by \(Self.name($0))" } ?? ""
        let why = view.standing.pause?.reason.map { " (\(Self.clause($0)))" } ?? ""
        return who + why
    }

    private var closing: String {
        guard let end = view.final?.at ?? record.closedAt else { return "" }
        return " at \(ReadableTime.point(end)), \(ReadableTime.span(end.duration(since: record.createdAt))) after it started"
    }

    private var finalAttributes: JSONObject { view.final.flatMap { try? $0.attributes.object() } ?? JSONObject() }

    private var failure: String {
        let code = finalAttributes["code"]?.stringValue ?? "", message = finalAttributes["message"]?.stringValue ?? ""
        return code.isEmpty ? "" : " with \(code): \(Self.clause(message))"
    }

    private var termination: String {
        let who = Self.name(finalAttributes["by"]).map { " by \($0)" } ?? ""
        let why = finalAttributes["reason"]?.stringValue.map { " (\(Self.clause($0)))" } ?? ""
        return who + why
    }

    private static func clause(_ text: String) -> String {
        text.hasSuffix(".") ? String(text.dropLast()) : text
    }

    // MARK: Closed runs

    private mutating func explainEnd() {
        if let successor = record.successor {
            moves.append(Move(["explain", successor.description], "to see how that one stands"))
        }
        if record.state == .failed || record.state == .cancelled || record.state == .terminated { explainStandingEffects() }
        explainLeftAlone()
        // An undo that waited for a person when the run was terminated still does.
        let open = view.steps.filter { $0.isInDoubt || $0.isUndo && $0.isStuck }
        for step in open {
            let title = Self.title(step)
            sentences.append(
                step.isInDoubt
                    ? "\(title) is in doubt: it may have happened, and no outcome is recorded."
                    : "\(title) did not go through and is not tried again\(Self.because(step)).")
            guard record.state == .terminated else { continue }
            moves.append(
                Move(["resolve", run, step.subject, "--happened", "--result", "JSON"], "if it happened, with this result"))
            moves.append(Move(["resolve", run, step.subject, "--did-not-happen"], "if it did not and will not"))
        }
        if record.state != .terminated || open.isEmpty {
            moves.append(Move(["verify", run], "to check the history that proves this"))
        }
    }

    private mutating func explainStandingEffects() {
        let steps = view.standingEffects.map { (subject: $0.subject, why: $0.irreversible) }
        let standing = steps + view.standingChildren.map { ("child \($0.subject)", $0.irreversible) }
        guard !standing.isEmpty else { return }
        let list = standing.map { step in
            let why = step.why.map { " (\(Self.clause($0)))" } ?? ""
            return "'\(step.subject)'\(why)"
        }
        let isOne = standing.count == 1
        sentences.append(
            "\(isOne ? "One step" : "\(standing.count) steps") stay\(isOne ? "s" : "") done and cannot be taken back by the run: "
                + "\(list.joined(separator: ", ")).")
    }

    // MARK: Open runs

    private mutating func explainOpen(unread: Int) {
        if unread > 0 {
            sentences.append(
                "\(unread) accepted message\(unread == 1 ? " is" : "s are") not taken in yet; the next engine does that.")
        }
        if view.isCancelling { sentences.append("Its cancellation was asked for; what it has done is undone before it closes.") }
        let before = sentences.count
        for step in view.openApprovals { explainApproval(step) }
        for question in view.openQuestions { explainQuestion(question) }
        for timer in view.openTimers {
            sentences.append("Timer '\(timer.subject)' fires at \(timer.due.map(time) ?? "an unknown time").")
        }
        for step in view.steps where !step.isOver { explainStep(step) }
        for wait in keys { explainKey(wait) }
        for heartbeat in heartbeats { explainHeartbeat(heartbeat) }
        for child in view.openChildren { explainChild(child) }
        explainLeftAlone()
        if view.isPoisoned {
            moves.append(Move(["retry", run], "when code is deployed that does not take its process down"))
        }
        if sentences.count == before, record.state == .waiting {
            sentences.append("Nothing in its history is open, so it waits for a signal.")
            moves.append(Move(["signal", run, "NAME", "--payload", "JSON"], "to send it"))
        }
        if view.isCancelling { explainStandingEffects() }
        if record.state == .blocked { moves.append(Move(["terminate", run, "--reason", "WHY"], "to end it without its code")) }
        if record.state == .paused {
            moves.append(Move(["resume", run], "to let it go on"))
            moves.append(Move(["terminate", run, "--reason", "WHY"], "to end it as it is"))
        }
        if record.state == .blocked {
            moves.append(Move(["repin", run, "--to", "VERSION"], "to go on with the code of another version"))
            moves.append(Move(["reset", run, "--to", "SEQ"], "to go on from an event that the code can follow"))
        }
        if record.state == .quarantined { moves.append(Move(["verify", run], "to see where the history breaks")) }
    }

    private mutating func explainApproval(_ step: RunView.Step) {
        guard let approval = step.approval else { return }
        let limit = approval.expires.map { "; nobody deciding until \(time($0)) is a denial" } ?? ""
        sentences.append("Step '\(step.subject)' waits for an approval by \(approval.approver)\(limit).")
        moves.append(Move(["approve", run, step.subject], "to release it"))
        moves.append(Move(["deny", run, step.subject, "--reason", "WHY"], "to refuse it"))
    }

    // MARK: Children

    private mutating func explainChild(_ child: RunView.Child) {
        let told = child.isCancelling ? ", which was told to end" : ""
        sentences.append("It waits for child '\(child.subject)', run \(child.run) of \(child.workflow) \(child.version)\(told).")
        guard let explanation = children[child.subject] else {
            return moves.append(Move(["explain", "\(child.run)"], "to see why"))
        }
        sentences += explanation.sentences.enumerated().map { $0 == 0 ? $1 : "In child '\(child.subject)': \($1)" }
        moves += explanation.moves
    }

    private mutating func explainLeftAlone() {
        for child in view.children where child.isLeftAlone {
            sentences.append("Child '\(child.subject)', run \(child.run) of \(child.workflow), goes on or has ended by itself.")
        }
    }

    private mutating func explainQuestion(_ question: RunView.Question) {
        let limit = question.expires.map { ", until \(time($0))" } ?? ""
        sentences.append("Question '\(question.subject)' waits for an answer by \(question.approver)\(limit): \(question.text)")
        moves.append(Move(["answer", run, question.subject, "--value", "JSON"], "to answer it"))
    }

    private mutating func explainKey(_ wait: BusinessKeyWait) {
        let holder = wait.record
        sentences.append(
            "Step '\(wait.subject)' waits for the key '\(holder.key.key)', which '\(holder.subject)' of run \(holder.holder) holds until its "
                + "outcome is settled.")
        moves.append(Move(["explain", holder.holder.description], "to see what that one waits for"))
    }

    private mutating func explainHeartbeat(_ heartbeat: HeartbeatRecord) {
        let title = heartbeat.isUndo ? "The undo of '\(heartbeat.subject)'" : "Step '\(heartbeat.subject)'"
        let details = heartbeat.details.map { ": \(String(decoding: $0.prefix(200), as: UTF8.self))" } ?? ""
        sentences.append("\(title) gave its last sign of life at \(time(heartbeat.at))\(details).")
    }

    private mutating func explainStep(_ step: RunView.Step) {
        let title = Self.title(step)
        if step.isInDoubt {
            explainDoubt(step)
        } else if step.isStuck {
            sentences.append("\(title) cannot go on by itself after \(Self.attempts(step.failedAttempts))\(Self.because(step)).")
            moves.append(Move(["retry", run, step.subject], "to let it try again"))
            moves.append(Move(["resolve", run, step.subject, "--happened", "--result", "JSON"], "if it was done by hand"))
            moves.append(Move(["resolve", run, step.subject, "--abort"], "to give it up"))
        } else if let next = step.nextAt {
            sentences.append(
                "\(title) is tried again at \(time(next)) after \(Self.attempts(step.failedAttempts))\(Self.because(step)).")
        } else if step.hasOpenIntent {
            let late = record.state == .running ? step.deadline.flatMap { $0 < now ? time($0) : nil } : nil
            let overdue = late.map { "; its attempt should have ended by \($0) and has not, or was sent again since" } ?? ""
            sentences.append("\(title) was released and has no outcome yet\(overdue).")
        }
    }

    private mutating func explainDoubt(_ step: RunView.Step) {
        sentences.append(
            "\(Self.title(step)) is in doubt (\(Self.reason(step.doubt))): it may have happened\(Self.because(step)).")
        let base = ["resolve", run, step.subject]
        let quiet = step.quietAfter.flatMap { $0 > now ? " (not before \(time($0)))" : nil } ?? ""
        moves.append(Move(base + ["--happened", "--result", "JSON"], "if it happened, with this result"))
        moves.append(Move(base + ["--did-not-happen"], "if it did not and will not: it is tried again\(quiet)"))
        if !step.isUndo, step.irreversible == nil {
            moves.append(Move(base + ["--undo", "--result", "JSON"], "if it happened and is to be undone"))
        }
        moves.append(Move(base + ["--abort"], "if it did not and will not: the run fails and undoes the rest\(quiet)"))
    }

    private static func title(_ step: RunView.Step) -> String {
        step.isUndo ? "The undo of '\(step.subject)'" : "Step '\(step.subject)'"
    }

    private static func attempts(_ count: Int) -> String { count == 1 ? "1 failed attempt" : "\(count) failed attempts" }

    private static func because(_ step: RunView.Step) -> String { step.message.map { " – \(clause($0))" } ?? "" }

    /// The reasons of `DoubtReason` in words.
    package static func reason(_ name: String?) -> String {
        switch name.flatMap(DoubtReason.init) {
        case .interrupted: "the process ended between the intent and the outcome"
        case .noAnswer: "the attempt ended without an answer"
        case .nonRetryable: "the error says neither that nothing happened nor that trying again helps"
        case .exhausted: "its attempts are used up and the last one may have worked"
        case .retentionPassed: "the other side may have forgotten the idempotency key"
        case .unrecordable: "its result could not be recorded"
        case .partly: "the probe found half of it"
        case .probeFailed: "the probe could not find out"
        case .terminated: "the run was terminated while it was under way"
        case .lost: "it may have been sent in a part of the history that is lost"
        case nil: name ?? "for an unknown reason"
        }
    }
}
