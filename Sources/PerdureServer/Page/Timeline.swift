internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

/// A history as bars over time: one lane for each step, undo, timer, question and child, and one for the run itself. Pure: events in, rows
/// out.
///
/// When an attempt began is known where its intent is recorded. Of any other the event before it is the best that a history can tell.
struct Timeline {
    /// What a bar means. The raw names are classes of the style sheet.
    enum Kind: String, CaseIterable {
        case done, running, retry, failed, doubt, person, wait, child, undo, mark, stop

        var text: String {
            switch self {
            case .done: "done"
            case .running: "under way"
            case .retry: "waits to try again"
            case .failed: "failed attempt"
            case .doubt: "in doubt"
            case .person: "waits for a person"
            case .wait: "waits"
            case .child: "child run"
            case .undo: "undone"
            case .mark: "its process died"
            case .stop: "stopped"
            }
        }

        /// How tall it is in a lane of 20: what takes no effort is thin.
        var place: (y: Int, height: Int) {
            switch self {
            case .retry: (9, 2)
            case .mark: (1, 18)
            case .wait, .person, .stop: (6, 8)
            default: (4, 12)
            }
        }
    }

    fileprivate struct Bar {
        let kind: Kind
        let from: Timestamp
        let to: Timestamp
    }

    fileprivate struct Lane {
        let name: String
        let kindText: String
        let seq: Int64
        var bars: [Bar] = []
        var open: (kind: Kind, from: Timestamp)?
        /// When the next attempt is due.
        var due: Timestamp?
        var failures = 0
        var words = ""
        var tone = "plain"

        /// Ends what is under way.
        mutating func close(at time: Timestamp, as kind: Kind? = nil) {
            guard let open else { return }
            bars.append(Bar(kind: kind ?? open.kind, from: open.from, to: max(open.from, time)))
            self.open = nil
        }

        /// Ends an attempt: with its own beginning, with the time it was due at, or with the best that is known.
        mutating func endAttempt(at time: Timestamp, as kind: Kind, since before: Timestamp) {
            if let open, open.kind == .retry { close(at: min(due ?? time, time)) }
            let isKnown = open?.kind == .running
            let start = isKnown ? open?.from ?? before : bars.last.map { max($0.to, due ?? before) } ?? before
            if !isKnown { close(at: time) }
            open = nil
            due = nil
            bars.append(Bar(kind: kind, from: min(start, time), to: time))
        }
    }

    private static let mostLanes = 200
    private static let mostBars = 400

    private var lanes: [Lane] = []
    private var places: [String: Int] = [:]
    private var start: Timestamp?
    private var previous: Timestamp?
    private var end: Timestamp?
    private var omitted: Set<String> = []

    mutating func add(_ event: Event) {
        let before = previous ?? event.at
        if start == nil { start = event.at }
        previous = event.at
        if event.kind.isFinal { end = event.at }
        let family = String(event.kind.rawValue.prefix { $0 != "." })
        switch family {
        case "step", "undo", "approval": addStep(event, isUndo: family == "undo", before)
        case "timer", "question", "child": addWait(event, family)
        case "run": addRun(event)
        case "operator" where !event.subject.isEmpty && event.attribute("refused") == nil:
            for lane in ["step", "undo"] { change("\(lane) \(event.subject)") { $0.close(at: event.at) } }
        default: break
        }
    }

    /// - Parameter body: Changes the lane, if there is one.
    private mutating func change(_ key: String, _ body: (inout Lane) -> Void) {
        if let place = places[key] { body(&lanes[place]) }
    }

    private mutating func open(_ key: String, _ name: String, _ kindText: String, _ event: Event) {
        guard places[key] == nil else { return }
        // There is always room for the run itself.
        guard lanes.count < Self.mostLanes || key == "run" else {
            omitted.insert(key)
            return
        }
        places[key] = lanes.count
        lanes.append(Lane(name: name, kindText: kindText, seq: event.seq))
    }

    // MARK: Steps

    private mutating func addStep(_ event: Event, isUndo: Bool, _ before: Timestamp) {
        let key = "\(isUndo ? "undo" : "step") \(event.subject)", attributes = (try? event.attributes.object()) ?? JSONObject()
        open(key, event.subject, isUndo ? "undo" : "step", event)
        change(key) { lane in
            let attempts = lane.failures + 1
            let after = attempts > 1 ? " at attempt \(attempts)" : ""
            switch event.kind {
            case .stepIntended, .undoStarted:
                if lane.open?.kind == .retry { lane.close(at: event.at) }
                lane.close(at: event.at)
                lane.open = (.running, event.at)
                lane.say("under way since \(PageTime.short(event.at))", "plain")
            case .stepAttemptFailed, .undoAttemptFailed:
                lane.endAttempt(at: event.at, as: .failed, since: before)
                lane.failures += 1
                lane.due = attributes["next_at"]?.integerValue.map(Timestamp.init(microseconds:))
                lane.open = (lane.due == nil ? .stop : .retry, event.at)
                lane.say(lane.due == nil ? "gave up\(after)" : "attempt \(attempts) failed; tries again", "bad")
            case .stepSucceeded, .undoSucceeded:
                lane.endAttempt(at: event.at, as: isUndo ? .undo : .done, since: before)
                let took = lane.bars.last.map { $0.to.duration(since: $0.from) } ?? .zero
                lane.say("\(isUndo ? "undone" : "done")\(took > .zero ? " in \(ReadableTime.span(took))" : "")\(after)", "good")
            case .stepFailed, .undoFailed:
                lane.endAttempt(at: event.at, as: .failed, since: before)
                lane.say("failed for good\(after)", "bad")
            case .stepInDoubt, .undoInDoubt:
                lane.endAttempt(at: event.at, as: .running, since: before)
                lane.open = (.doubt, event.at)
                lane.say("in doubt", "ask")
            case .stepResolved, .undoResolved:
                lane.close(at: event.at)
                lane.say(attributes["by"] == nil ? "settled" : "settled by a person", "plain")
            case .stepCancelled:
                lane.close(at: event.at)
                lane.say("cancelled before it happened", "plain")
            case .approvalRequested:
                lane.open = (.person, event.at)
                lane.say("waits for approval", "ask")
            case .approvalDecided:
                lane.close(at: event.at)
                let isApproved = attributes["approved"]?.boolValue == true
                lane.say(isApproved ? "approved" : "denied", isApproved ? "plain" : "bad")
            case .approvalExpired, .approvalCancelled, .approvalVoided:
                lane.close(at: event.at)
                lane.say("not approved", "bad")
            default: break
            }
        }
    }

    // MARK: Waits

    private mutating func addWait(_ event: Event, _ family: String) {
        let key = "\(family) \(event.subject)"
        switch event.kind {
        case .timerStarted, .questionAsked, .childStarted:
            open(key, event.subject, family == "child" ? "child run" : family, event)
            change(key) { lane in
                lane.open = (family == "timer" ? .wait : family == "child" ? .child : .person, event.at)
                lane.say(family == "timer" ? "waits" : family == "child" ? "runs" : "waits for an answer", "plain")
            }
        default:
            guard event.kind != .childCancelRequested else { return }
            change(key) { lane in
                let took = ReadableTime.span(event.at.duration(since: lane.open?.from ?? event.at))
                lane.close(at: event.at, as: event.kind == .childFailed ? .failed : nil)
                lane.say(Self.ending(event.kind) + " after \(took)", event.kind == .childFailed ? "bad" : "good")
            }
        }
    }

    private static func ending(_ kind: EventKind) -> String {
        switch kind {
        case .timerFired: "time was up"
        case .questionAnswered: "answered"
        case .childCompleted: "completed"
        case .childFailed: "failed"
        case .questionExpired: "nobody answered"
        default: "no longer waited for"
        }
    }

    // MARK: The run

    private mutating func addRun(_ event: Event) {
        let key = "run"
        switch event.kind {
        case .runResumed where event.attribute("clean")?.boolValue == false:
            open(key, "run", "the run itself", event)
            change(key) { lane in
                lane.bars.append(Bar(kind: .mark, from: event.at, to: event.at))
                lane.say("taken over from a process that died", "plain")
            }
        case .runPaused, .runParked, .runBlocked:
            open(key, "run", "the run itself", event)
            change(key) { lane in
                lane.close(at: event.at)
                lane.open = (.stop, event.at)
                lane.say(event.kind == .runPaused ? "paused" : event.kind == .runParked ? "parked" : "blocked", "ask")
            }
        case .runUnpaused, .runUnparked, .runUnblocked:
            change(key) { lane in
                lane.close(at: event.at)
                lane.say("went on", "plain")
            }
        default: break
        }
    }

    // MARK: As a picture

    /// - Parameters:
    ///   - now: The end of what is still open.
    ///   - href: Where an event stands.
    func model(now: Timestamp, href: (Int64) -> String) -> Model {
        guard let start else { return ["rows": [], "ticks": [], "legend": []] }
        let end = max(end ?? max(now, previous ?? now), start), whole = max(1, end.duration(since: start).microseconds)
        func x(_ time: Timestamp) -> Double { Double(max(0, time.duration(since: start).microseconds)) * 1_000 / Double(whole) }
        var used: Set<Kind> = []
        let rows = lanes.map { lane -> JSONValue in
            var bars = lane.bars
            if let open = lane.open { bars.append(Bar(kind: open.kind, from: open.from, to: max(end, open.from))) }
            let segments = bars.suffix(Self.mostBars).map { bar -> JSONValue in
                used.insert(bar.kind)
                let left = min(x(bar.from), 996), width = max(x(bar.to) - x(bar.from), 4), place = bar.kind.place
                return [
                    "kind": .string(bar.kind.rawValue), "x": .string(Self.number(left)), "y": JSONValue(place.y),
                    "width": .string(Self.number(min(width, 1_000 - left))), "height": JSONValue(place.height),
                    "title": .string("\(bar.kind.text), \(ReadableTime.span(bar.to.duration(since: bar.from)))"),
                ]
            }
            return [
                "href": .string(href(lane.seq)), "name": .string(lane.name), "hasKind": .bool(lane.kindText != "step"),
                "kindText": .string(lane.kindText),
                "words": .string(lane.words), "tone": .string(lane.tone), "segments": .array(segments),
            ]
        }
        var model: Model = ["rows": .array(rows)]
        model["ticks"] = .array(
            (0...4).map { .string(ReadableTime.span(.microseconds(whole * Int64($0) / 4))) })
        model["legend"] = .array(
            Kind.allCases.filter(used.contains).map { kind in
                [
                    "kind": .string(kind.rawValue), "text": .string(kind.text), "y": JSONValue(kind.place.y),
                    "height": JSONValue(kind.place.height),
                ]
            })
        model.offer(
            "scaleNote",
            omitted.isEmpty ? nil : "The first \(lanes.count) of \(lanes.count + omitted.count); the history has all.")
        return model
    }

    var isEmpty: Bool { lanes.isEmpty }

    /// With one digit behind the point: a thousandth of the width is less than a pixel.
    private static func number(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}

extension Timeline.Lane {
    fileprivate mutating func say(_ words: String, _ tone: String) {
        self.words = words
        self.tone = tone
    }
}
