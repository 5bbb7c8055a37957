import PerdureHistory

// What the code says of itself: its status, labels to be found by, and which of its changes it follows. Nothing of the outside
// happens; it is only recorded.

/// Something that the code wants recorded, and waits for nothing else.
struct NoteOperation {
    enum Phase {
        /// Asked for; the run has not come to rest since.
        case requested
        /// Outstanding at rest: its event ends it, also if the code gives it up meanwhile.
        case released
    }

    let kind: EventKind
    let subject: String
    let attributes: Attributes
    var input: [UInt8]?
    var output: [UInt8]?
    var phase = Phase.requested
    var isCancelled = false
    var isQueued = false

    /// What tells it from every other note of the run.
    var identity: Identity { Identity(kind: kind, subject: subject) }

    struct Identity: Hashable {
        let kind: EventKind
        let subject: String
    }
}

extension RunMachine {
    // MARK: Status

    package mutating func requestStatus(_ subject: String, _ status: [UInt8]) -> OperationID {
        request(NoteOperation(kind: .statusReported, subject: subject, attributes: .none, input: status))
    }

    // MARK: Labels

    package mutating func requestLabels(_ subject: String, _ labels: Labels) -> OperationID {
        request(
            NoteOperation(
                kind: .labelsChanged, subject: subject, attributes: Attributes(JSONObject([("labels", labels.json)])), input: nil)
        )
    }

    mutating func request(_ note: NoteOperation) -> OperationID {
        let id = makeID()
        notes[id] = note
        noteIDs[note.identity] = id
        requestedSinceRest.append(id)
        return id
    }

    mutating func planNote(_ note: NoteOperation, into plan: inout Plan) {
        guard note.phase == .released else { return }
        plan.drafts.events.append(
            EventDraft(
                note.kind, subject: note.subject, attributes: note.attributes, input: note.input.map(StoredValue.inline),
                output: note.output.map(StoredValue.inline)))
    }

    /// What the note says may have changed with the code: it decides nothing.
    mutating func feedNote(_ event: Event) throws {
        let identity = NoteOperation.Identity(kind: event.kind, subject: event.subject)
        guard let id = noteIDs[identity], let note = notes[id], note.phase == .released else { throw unasked(event) }
        forgetNote(id)
        if event.kind == .labelsChanged { changeLabels(try event.attributes.object()) }
        answers.append((id, note.isCancelled ? .cancelled : .done))
    }

    mutating func changeLabels(_ attributes: JSONObject) {
        for member in attributes["labels"]?.objectValue?.members ?? [] { labels[member.key] = member.value.stringValue }
    }

    mutating func cancelNote(_ id: OperationID) {
        guard notes[id]?.phase == .requested else {
            notes[id]?.isCancelled = true
            return
        }
        forgetNote(id)
        answers.append((id, .cancelled))
    }

    private mutating func forgetNote(_ id: OperationID) {
        guard let note = notes.removeValue(forKey: id) else { return }
        if noteIDs[note.identity] == id { noteIDs[note.identity] = nil }
    }

    // MARK: Patches

    /// Whether the run follows a change of its code. The first call of the run decides, for good: yes if it is made where nothing that
    /// came after is recorded or may have been sent by another build, and then `version.patched` is recorded before anything else.
    package mutating func isPatched(_ id: String) -> Bool {
        if let known = patches[id] { return known }
        let isPatched = isAtFrontier
        patches[id] = isPatched
        if isPatched { patchesToRecord.append(id) }
        return isPatched
    }

    /// Whether the code stands where no build but this one has been.
    private var isAtFrontier: Bool {
        if !isReplaying { return true }
        // Nothing is outstanding where a run goes on after a reset, or begins as a fork, whoever had been there before.
        if let last = resets.last, last.at == storedSeq { return lastSeq >= last.to }
        if copiedUntil > 0, copiedUntil + 1 == storedSeq { return lastSeq >= copiedUntil }
        return lastSeq >= storedSeq && (isFirstOwner || recordedBuild == build)
    }

    mutating func feedPatch(_ event: Event) {
        patches[event.subject] = true
        patchesToRecord.removeAll { $0 == event.subject }
    }
}
