internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension MemoryState {
    /// Appends to the history and keeps what is only a view of it: open requests, marks, labels.
    mutating func append(_ events: [Event], to index: Int) {
        for event in events {
            runs[index].events.append(event)
            switch event.kind {
            case .approvalRequested, .questionAsked: ask(event, index)
            case .approvalDecided, .approvalExpired, .approvalCancelled, .approvalVoided:
                closeRequests(.approvalRequested, event.subject, index)
            case .runRestored: dropRequests(of: index) { $0.kind == .approvalRequested }
            case .questionAnswered, .questionExpired, .questionCancelled: closeRequests(.questionAsked, event.subject, index)
            case .labelsChanged: label(event, index)
            case .runStarted where event.seq == 1: label(event, index)
            default: break
            }
            forgetHeartbeats(after: event, of: index)
            if event.kind.isMarked {
                let subject = event.kind.isMarkedOnce ? "" : event.subject
                runs[index].marks[.init(kind: event.kind, subject: ByteText(subject))] = event.seq
            }
        }
    }

    private mutating func ask(_ event: Event, _ index: Int) {
        lastRequest += 1
        runs[index].requests.append(
            .init(position: lastRequest, seq: event.seq, kind: event.kind, subject: ByteText(event.subject)))
        openRequests.insert(OpenPlace(position: lastRequest, run: Int64(index) + 1, seq: event.seq))
    }

    private mutating func closeRequests(_ kind: EventKind, _ subject: String, _ index: Int) {
        let subject = ByteText(subject)
        dropRequests(of: index) { $0.kind == kind && $0.subject == subject }
    }

    private mutating func dropRequests(of index: Int, where isOver: (MemoryRun.Request) -> Bool) {
        for request in runs[index].requests where isOver(request) {
            openRequests.remove(OpenPlace(position: request.position, run: Int64(index) + 1, seq: request.seq))
        }
        runs[index].requests.removeAll(where: isOver)
    }

    /// Puts the labels that an event names in place of earlier ones of the same names.
    private mutating func label(_ event: Event, _ index: Int) {
        guard let object = try? event.attributes.object(), let labels = object["labels"]?.objectValue else { return }
        for member in labels.members {
            if let value = member.value.stringValue { runs[index].labels[ByteText(member.key)] = ByteText(value) }
        }
    }

    /// Changes the run's row, and what hangs on its state.
    mutating func move(_ index: Int, _ transition: RunTransition, now: Timestamp) {
        let state = runs[index].record.landing(of: transition)
        let work = transition.version.map { workNumber(of: runs[index].record.workflow, $0) }
        change(index) { run in
            run.record.state = state
            if state != .running { run.record.owner = nil }
            run.record.wakeAt = state == .queued ? run.deadline : transition.wakeAt
            run.record.note = transition.note
            run.record.closedAt = state.isFinal ? run.record.closedAt ?? now : nil
            run.since = now
            run.needsRetry = transition.needsRetry
            if let work, let version = transition.version {
                run.record.version = version
                run.work = work
                // For the code of another version it is an open question whether it fits.
                run.blockedBuilds = []
            }
            switch state {
            case .blocked:
                if let build = transition.blockedBuild.map(ByteText.init), !run.isBlocked(for: build) {
                    run.blockedBuilds.append(build)
                    run.blockedBuilds.sort()
                }
            // A run that was blocked when it was paused is blocked again when it goes on.
            case .running, .paused: break
            // Some build has carried the run on; whether another one fits is an open question again.
            default: run.blockedBuilds = []
            }
            run.renewWake()
        }
        if state.isFinal { forget(index) }
    }

    /// Drops what a closed run no longer waits for.
    mutating func forget(_ index: Int) {
        dropWaits(of: index)
        dropRequests(of: index) { _ in true }
        runs[index].heartbeats = []
    }

    // MARK: Heartbeats

    /// Keeps the latest sign of life, from the owner of the run only.
    mutating func beat(_ heartbeat: Heartbeat, by node: NodeID?, now: Timestamp) -> CommitResult {
        guard let index = index(of: heartbeat.run) else { return .refused(.runUnknown) }
        guard let node, runs[index].record.owner == node, runs[index].record.epoch == heartbeat.epoch,
            runs[index].record.closedAt == nil
        else { return .refused(.conflict) }
        guard heartbeat.subject.isStorable else { return .refused(.invalid("the subject of a heartbeat has a NUL")) }
        let key = HeartbeatPlace(heartbeat.subject, heartbeat.isUndo)
        let place =
            runs[index].heartbeats.firstIndex { HeartbeatPlace($0.subject, $0.isUndo) >= key } ?? runs[index].heartbeats.count
        var record = HeartbeatRecord(subject: heartbeat.subject, isUndo: heartbeat.isUndo, at: now, details: heartbeat.details)
        if place < runs[index].heartbeats.count {
            let last = runs[index].heartbeats[place]
            if HeartbeatPlace(last.subject, last.isUndo) == key {
                record.details = record.details ?? last.details
                runs[index].heartbeats[place] = record
                return .advanced
            }
        }
        runs[index].heartbeats.insert(record, at: place)
        return .advanced
    }

    /// What an event makes pointless: signs of life of a step or undo that is settled by it, or begins anew.
    private mutating func forgetHeartbeats(after event: Event, of index: Int) {
        guard !runs[index].heartbeats.isEmpty else { return }
        let isUndo: Bool
        switch event.kind {
        case .stepSucceeded, .stepFailed, .stepCancelled, .stepResolved: isUndo = false
        case .undoSucceeded, .undoResolved: isUndo = true
        case .runReset:
            runs[index].heartbeats = []
            return
        default: return
        }
        let key = HeartbeatPlace(event.subject, isUndo)
        runs[index].heartbeats.removeAll { HeartbeatPlace($0.subject, $0.isUndo) == key }
    }
}

/// The order of heartbeats: by subject, the step before its undo.
struct HeartbeatPlace: Hashable, Comparable {
    let subject: ByteText
    let isUndo: Bool

    init(_ subject: String, _ isUndo: Bool) {
        self.subject = ByteText(subject)
        self.isUndo = isUndo
    }

    static func < (left: HeartbeatPlace, right: HeartbeatPlace) -> Bool {
        left.subject == right.subject ? !left.isUndo && right.isUndo : left.subject < right.subject
    }
}
