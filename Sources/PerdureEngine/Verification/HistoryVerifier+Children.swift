import Perdure
package import PerdureHistory
package import PerdureStore

/// One child as the verifier has followed it so far.
struct VerifiedChild {
    var run: String?
    var startedAt: Int64 = 0
    var lastSeq: Int64 = 0
    var wasToldToEnd = false
    var isOver = false
    var happened: HistoryVerifier.Completion?

    var isOpen: Bool { run != nil && !isOver }
}

// The rules of children.
extension HistoryVerifier {
    mutating func checkChild(_ event: Event, _ attributes: JSONObject) {
        guard event.kind.rawValue.hasPrefix("child.") else { return }
        var child = children[event.subject] ?? VerifiedChild()
        defer { children[event.subject] = child }
        child.lastSeq = event.seq
        let name = "child '\(event.subject)'"
        if event.kind == .childStarted {
            if child.run != nil || child.isOver { wrong(event, .child, "\(name) is started a second time.") }
            child.run = attributes["run"]?.stringValue
            if let run = child.run, !childRuns.insert(run).inserted {
                wrong(event, .child, "\(name) is the run \(run) a second time.")
            }
            child.startedAt = event.seq
            // Nothing of a detached one is waited for.
            child.isOver = attributes["detached"]?.boolValue ?? false
            return
        }
        if child.isOver { wrong(event, .child, "\(event.kind.rawValue) stands after the end of \(name).") }
        if let run = child.run {
            if attributes["run"]?.stringValue != run { wrong(event, .child, "It names another run than the start of \(name).") }
        } else if event.kind != .childCancelled {
            wrong(event, .child, "\(name) was never started.")
        }
        if event.kind == .childCancelRequested {
            if child.wasToldToEnd { wrong(event, .child, "\(name) is told to end a second time.") }
            child.wasToldToEnd = true
            return
        }
        child.isOver = true
        if event.kind == .childCompleted { child.happened = Completion(seq: event.seq, at: event.at) }
    }

    mutating func checkChildrenOver(_ event: Event) {
        for (subject, child) in children.sorted(by: { $0.key < $1.key }) where child.isOpen {
            wrong(event, .child, "The run closes while child '\(subject)' has no end (event \(child.startedAt)).")
        }
    }

    // MARK: Two histories

    /// What is copied ends with one event that says so, and there is no such event elsewhere.
    mutating func checkForked(_ event: Event) {
        let isPlace = copiedUntil > 0 && event.seq == copiedUntil + 1
        guard isPlace != (event.kind == .runForked) else { return }
        wrong(
            event, .beginning,
            isPlace
                ? "What the run has copied does not end with run.forked."
                : "The run is forked, but has copied nothing up to here.")
    }

    /// What a fork says of its source: the event that it names, and that all it has copied is there, in this order.
    ///
    /// - Parameter source: The source's history up to that event. It is not judged itself.
    package mutating func checkOrigin(_ events: [Event], _ source: [Event]) {
        guard let first = events.first, let origin = (try? first.attributes.object())?["fork"].flatMap(ForkOrigin.init) else {
            return
        }
        guard let last = source.last, last.seq == origin.seq, "\(last.hash)" == origin.hash, first.input == source.first?.input
        else {
            return wrong(first, .succession, "The run says that it was forked from another history than run \(origin.run) has.")
        }
        var rest = source.dropFirst()
        for copy in events.dropFirst().prefix(while: { $0.seq <= origin.copied }) {
            guard let place = rest.firstIndex(where: copy.isCopy) else {
                return wrong(copy, .succession, "It is said to be a copy, but run \(origin.run) has no such event.")
            }
            rest = rest[(place + 1)...]
        }
    }

    /// What parent and child say of each other.
    ///
    /// To its parent a child that was continued is the run that it began as.
    package mutating func compare(_ children: NamedChildren, _ childRecord: RunRecord, _ childEvents: [Event]) {
        let run = childRecord.chain.run.description
        // The children that a fork has copied are those of its source. Of an expired run nothing is left that could be compared.
        guard let named = children.starts[run], named.seq > copiedUntil, let first = childEvents.first, first.kind == .runStarted
        else { return }
        let attributes = (try? first.attributes.object()) ?? JSONObject()
        let link = attributes["parent"].flatMap(ParentLink.init)
        if link?.run != record.id || link?.subject != named.subject {
            wrong(named, .child, "Run \(run) does not say that it is this run's child '\(named.subject)'.")
        }
        if childRecord.origin == nil, first.input != named.input {
            wrong(named, .child, "Run \(run) was started with another input.")
        }
        let starter = try? children.first?.attributes.object()["by"]
        if let starter, attributes["by"] != starter {
            wrong(named, .child, "Run \(run) acts for somebody else than this run.")
        }
        if let end = children.ends[run] { checkEnd(end, of: run, childEvents) }
    }

    /// What a run and the one that continues it say of each other.
    package mutating func checkSuccession(_ events: [Event], _ next: RunRecord, _ nextEvents: [Event]) {
        guard let end = events.last(where: { $0.kind == .runContinued }), let begin = nextEvents.first, begin.kind == .runStarted
        else { return }
        let attributes = (try? begin.attributes.object()) ?? JSONObject()
        let own = (try? events.first?.attributes.object()) ?? JSONObject()
        let name = "Run \(next.id)"
        let link = attributes["continues"].flatMap(ContinuedRun.init)
        if link?.run != record.id || link?.first != record.chain.run || next.origin != record.chain {
            wrong(end, .succession, "\(name) does not say that it continues this run.")
        }
        if begin.input != end.output { wrong(end, .succession, "\(name) was started with another input.") }
        for member in ["workflow", "key", "by", "parent", "deadline", "queue"] where attributes[member] != own[member] {
            wrong(end, .succession, "\(name) has another \(member) than this run.")
        }
    }

    private mutating func checkEnd(_ end: Event, of run: String, _ childEvents: [Event]) {
        let attributes = (try? end.attributes.object()) ?? JSONObject()
        // Left alone, or ended with this run: the child comes to its end by itself.
        if attributes["abandoned"] != nil || attributes["terminated"] != nil { return }
        // A run that has been continued by another one ends there.
        guard let final = childEvents.last(where: \.kind.isFinal), final.kind != .runContinued else {
            if childEvents.contains(where: { $0.kind == .runContinued }) { return }
            return wrong(end, .child, "Run \(run) has not ended.")
        }
        let isSame: Bool =
            switch final.kind {
            case .runCompleted: end.kind == .childCompleted && end.output == final.output
            case .runCancelled: end.kind == .childCancelled
            case .runTerminated: end.kind == .childFailed
            default:
                end.kind == .childFailed
                    && (attributes["code"]?.stringValue == StepFailure.undecodable
                        || attributes["code"] == (try? final.attributes.object())?["code"])
            }
        if !isSame { wrong(end, .child, "Run \(run) ended otherwise: \(final.kind.rawValue).") }
    }
}

extension Event {
    /// Whether it says what the other one says. The numbers of events, which resets name, are others in a copy.
    fileprivate func isCopy(_ other: Event) -> Bool {
        guard kind == other.kind, subject == other.subject, at == other.at, input == other.input, output == other.output else {
            return false
        }
        if attributes == other.attributes { return true }
        guard kind == .runReset || kind == .operatorAction, var own = try? attributes.object(),
            var others = try? other.attributes.object()
        else { return false }
        (own["to"], others["to"]) = (nil, nil)
        return own == others
    }
}

/// What a history says of the children that it names.
package struct NamedChildren {
    /// The first event of the history.
    let first: Event?
    /// By the child's run.
    private(set) var starts: [String: Event] = [:]
    /// By the child's run: after a reset there may have been two of one name.
    private(set) var ends: [String: Event] = [:]

    package init(_ events: [Event]) {
        first = events.first
        for event in events {
            switch event.kind {
            case .childStarted:
                guard let run = (try? event.attributes.object())?["run"]?.stringValue, starts[run] == nil else { continue }
                starts[run] = event
            case .childCompleted, .childFailed, .childCancelled:
                guard let run = (try? event.attributes.object())?["run"]?.stringValue, ends[run] == nil else { continue }
                ends[run] = event
            default: continue
            }
        }
    }
}
