import PerdureHistory

@testable import PerdureEngine

// What holds of every run, whatever happened to its process. Each violation is a sentence; none is good.
extension MachineDriver {
    func violations() -> [String] {
        var found = script.complaints
        found +=
            brokenChain() + repeatedCalls() + callsAfterTheEnd() + wrongOrderOfUndos() + openSteps() + eventsAfterTheFinalOne()
        found += cancelledThoughSent() + differencesOnReplay() + wrongChildren() + doneTwice() + repeatedAfterLoss()
        // What was done by the one and is done by the other has another key.
        if successorIDs.count > 1 { found.append("the run was continued as two runs") }
        found += StateContinuity(history).problems.map(\.message)
        return found
    }

    private func brokenChain() -> [String] {
        var seq: Int64 = 0, at = Timestamp.distantPast, found: [String] = []
        for event in history {
            if event.seq != seq + 1 || event.at < at { found.append("event \(event.seq) is out of order") }
            (seq, at) = (event.seq, event.at)
        }
        return found
    }

    private struct Timeline {
        var settled: Int?
        var permits: [Int] = []
    }

    /// When a step or undo was settled, and when it was said that another attempt is safe.
    private func timeline(of subject: String, isUndo: Bool) -> Timeline {
        var timeline = Timeline()
        for (index, event) in history.enumerated() where event.subject == subject {
            let attributes = (try? event.attributes.object()) ?? JSONObject()
            let resolution = attributes["resolution"]?.stringValue
            switch (event.kind, isUndo) {
            case (.stepSucceeded, false), (.stepFailed, false), (.stepCancelled, false), (.undoSucceeded, true):
                timeline.settled = index
            case (.stepResolved, false), (.undoResolved, true):
                if resolution == "did_not_happen" { timeline.permits.append(index) } else { timeline.settled = index }
            case (.stepAttemptFailed, false), (.undoAttemptFailed, true):
                if attributes["definite"]?.boolValue == true { timeline.permits.append(index) }
            case (.undoFailed, true):
                timeline.permits.append(index)
            default: break
            }
        }
        return timeline
    }

    private func repeatedCalls() -> [String] {
        var found: [String] = []
        for (key, calls) in Dictionary(grouping: calls.filter { !$0.body.isProbe }, by: { "\($0.subject)|\($0.body)" }) {
            let isUndo = calls[0].body == .undo, subject = calls[0].subject
            let isAtMostOnce = effect(of: subject, isUndo: isUndo) == "at_most_once"
            let timeline = timeline(of: subject, isUndo: isUndo)
            for (one, other) in zip(calls, calls.dropFirst()) {
                if isAtMostOnce, !timeline.permits.contains(where: { $0 >= one.seq && $0 < other.seq }) {
                    found.append("\(key) is at most once and was called at \(one.seq) and at \(other.seq)")
                }
                let isUnkeyed = !history.contains { $0.subject == subject && $0.attributes.text.contains("business_key") }
                if isUnkeyed, one.key != other.key { found.append("\(key) was called with two keys") }
            }
        }
        return found
    }

    /// What was sent at most once in a part of the history that is lost is sent again only after somebody has said that it did not happen.
    private func repeatedAfterLoss() -> [String] {
        lostCalls.compactMap { lost in
            guard !lost.body.isProbe, effect(of: lost.subject, isUndo: lost.body == .undo) == "at_most_once" else { return nil }
            let permits = timeline(of: lost.subject, isUndo: lost.body == .undo).permits
            let again = calls.first { $0.subject == lost.subject && $0.body == lost.body && $0.seq > lost.seq }
            guard let again, !permits.contains(where: { $0 >= lost.seq && $0 < again.seq }) else { return nil }
            return "\(lost.subject) (\(lost.body)) is at most once, was called in a part that is lost and again at \(again.seq)"
        }
    }

    private func effect(of subject: String, isUndo: Bool) -> String? {
        let kinds: Set<EventKind> =
            isUndo ? [.undoStarted] : [.stepIntended, .stepSucceeded, .stepAttemptFailed, .stepFailed, .stepInDoubt]
        for event in history where event.subject == subject && kinds.contains(event.kind) {
            if let effect = (try? event.attributes.object())?["effect"]?.stringValue { return effect }
        }
        return nil
    }

    /// A step may be called cancelled only where it surely did not happen. A transaction did not unless its success is recorded.
    private func cancelledThoughSent() -> [String] {
        history.enumerated().compactMap { index, event in
            let text = event.attributes.text
            guard event.kind == .stepCancelled, !text.contains(#""effect":"read""#) else { return nil }
            if text.contains(#""effect":"transactional""#) {
                let happened = history.contains { $0.subject == event.subject && $0.kind == .stepSucceeded }
                return happened ? "\(event.subject) was cancelled by event \(index + 1), although it was committed" : nil
            }
            let sent = (lostCalls + calls).last { $0.subject == event.subject && $0.body == .step && $0.seq <= index }
            guard let sent, !sent.wasRefused else { return nil }
            if timeline(of: event.subject, isUndo: false).permits.contains(where: { $0 >= sent.seq && $0 < index }) { return nil }
            return "\(event.subject) was cancelled by event \(index + 1), although it was sent at \(sent.seq)"
        }
    }

    private func callsAfterTheEnd() -> [String] {
        calls.compactMap { call in
            let isUndo = call.body == .undo || call.body == .undoProbe
            guard let settled = timeline(of: call.subject, isUndo: isUndo).settled, settled < call.seq else { return nil }
            return "\(call.subject) was called at \(call.seq), after its end at \(settled + 1)"
        }
    }

    /// An undo starts only when everything completed later in its scope is undone.
    private func wrongOrderOfUndos() -> [String] {
        let undone = Set(history.filter { $0.kind == .undoStarted }.map(\.subject))
        // What was given up and happened all the same is undone by itself, not in the row.
        let given = Set(
            script.seen.filter { !$0.hasSuffix(": cancelled") && !$0.hasSuffix(": undone") }.map { $0.prefix { $0 != ":" } })
        var open: [String] = [], found: [String] = []
        for event in history {
            switch event.kind {
            case .stepSucceeded, .stepResolved, .childCompleted:
                if undone.contains(event.subject), given.contains(Substring(event.subject)) { open.append(event.subject) }
            case .undoStarted where open.contains(event.subject):
                let scope = Self.scope(of: event.subject)
                if let last = open.last(where: { Self.scope(of: $0) == scope }), last != event.subject {
                    found.append("the undo of \(event.subject) started before that of \(last)")
                }
            case .undoSucceeded, .undoResolved:
                if !event.attributes.text.contains("did_not_happen") { open.removeAll { $0 == event.subject } }
            default: break
            }
        }
        return found
    }

    private static func scope(of subject: String) -> Substring {
        subject.lastIndex(of: "/").map { subject[..<$0] } ?? ""
    }

    private func openSteps() -> [String] {
        guard machine.isClosed else { return [] }
        let wasTerminated = history.contains { $0.kind == .runTerminated }
        return released.sorted().compactMap { subject in
            let ends = history.contains { event in
                guard event.subject == subject else { return false }
                switch event.kind {
                case .stepSucceeded, .stepFailed, .stepCancelled, .stepResolved: return true
                case .approvalExpired, .approvalCancelled, .approvalVoided: return true
                case .approvalDecided: return event.attributes.text.contains(#""approved":false"#)
                case .stepInDoubt: return wasTerminated
                default: return false
                }
            }
            return ends ? nil : "\(subject) was released and no event ends it"
        }
    }

    private func eventsAfterTheFinalOne() -> [String] {
        guard let last = history.firstIndex(where: { $0.kind.isFinal }) else { return [] }
        return history[(last + 1)...].filter { !$0.kind.mayFollowFinal }.map {
            "\($0.kind.rawValue) stands after the final event"
        }
    }

    private func differencesOnReplay() -> [String] {
        let replay = MachineDriver(code, build: build, history: history, calls: [], id: identity.id)
        do {
            for event in history { try replay.feed(event) }
        } catch {
            return ["the history cannot be replayed: \(error)"]
        }
        if replay.script.seen == script.seen { return replay.script.complaints }
        return ["live the code saw \(script.seen), on replay \(replay.script.seen)"]
    }
}
