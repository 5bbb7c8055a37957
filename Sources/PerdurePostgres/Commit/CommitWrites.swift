internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// What a commit has come to, gathered column by column: each table is written by one statement, however many runs there are.
///
/// Of a run's row, its wakes and the business keys only their last state counts, which the facts have.
final class CommitWrites {
    var events = EventColumns()
    var blobs = BlobColumns()
    var messages = MessageColumns()
    var places = PlaceColumns()
    private(set) var created: [Int64] = []
    private(set) var changed: Set<Int64> = []
    private(set) var consumed: [Int64] = []
    private(set) var forgotten: Set<Int64> = []
    private(set) var marks: [Mark: Int64] = [:]
    private(set) var labels: [Label: String] = [:]
    private(set) var requests: [Request] = []
    private(set) var endedRequests: Set<Request.Place> = []
    private(set) var beats: [StepPlace: Beat] = [:]
    private(set) var endedBeats: Set<StepPlace> = []
    private(set) var renewedWakes: Set<Int64> = []
    private(set) var wakes: [Int64: WakeTimes] = [:]
    private(set) var unblocked: Set<Int64> = []
    private(set) var blocked: [Block] = []
    private(set) var toldKeys: [Int64] = []
    private(set) var changedSchedules: Set<ScheduleKey> = []

    struct Mark: Hashable { let run: Int64, kind: String, subject: String }
    struct Label: Hashable { let run: Int64, name: String }
    struct Request {
        struct Place: Hashable { let run: Int64, subject: String, kind: String }
        let place: Place
        let seq: Int64
    }
    struct StepPlace: Hashable { let run: Int64, subject: String, isUndo: Bool }
    struct Beat { let at: Timestamp, details: [UInt8]? }
    struct Block: Hashable { let run: Int64, build: String }

    // MARK: Runs

    func create(_ run: Int64) { created.append(run) }

    func change(_ run: Int64) { changed.insert(run) }

    /// Drops what a closed run no longer waits for.
    func forget(_ run: Int64) {
        forgotten.insert(run)
        requests.removeAll { $0.place.run == run }
        forgetBeats(of: run)
    }

    func isBlocked(_ run: Int64) -> Bool { blocked.contains { $0.run == run } }
    func isUnblocked(_ run: Int64) -> Bool { unblocked.contains(run) }

    func block(_ run: Int64, for build: String) { blocked.append(Block(run: run, build: build)) }

    func unblock(_ run: Int64) {
        unblocked.insert(run)
        blocked.removeAll { $0.run == run }
    }

    // MARK: Histories

    /// With what is only a view of the history.
    func append(_ event: Event, to run: Int64) {
        blobs.add(event, run)
        events.add(event, run)
        switch event.view {
        case .none: break
        case .request:
            let place = Request.Place(run: run, subject: event.subject, kind: event.kind.rawValue)
            requests.append(Request(place: place, seq: event.seq))
        case .endOfRequest(let kind): end(Request.Place(run: run, subject: event.subject, kind: kind.rawValue))
        case .endOfBeat(let isUndo): forgetBeat(StepPlace(run: run, subject: event.subject, isUndo: isUndo))
        case .endOfBeats: forgetBeats(of: run)
        case .labels: label(run, event)
        }
        if event.kind.isMarked {
            let subject = event.kind.isMarkedOnce ? "" : event.subject
            marks[Mark(run: run, kind: event.kind.rawValue, subject: subject)] = event.seq
        }
    }

    private func end(_ place: Request.Place) {
        requests.removeAll { $0.place == place }
        endedRequests.insert(place)
    }

    /// Puts the labels that an event names in place of earlier ones of the same names.
    private func label(_ run: Int64, _ event: Event) {
        // Looked at for every run that starts, and few have any.
        guard event.attributes.text.contains("\"labels\""), let object = try? event.attributes.object(),
            let members = object["labels"]?.objectValue?.members
        else { return }
        for member in members {
            if let value = member.value.stringValue { labels[Label(run: run, name: member.key)] = value }
        }
    }

    // MARK: Signs of life

    func beat(_ heartbeat: Heartbeat, at: Timestamp) {
        let place = StepPlace(run: heartbeat.run, subject: heartbeat.subject, isUndo: heartbeat.isUndo)
        beats[place] = Beat(at: at, details: heartbeat.details ?? beats[place]?.details)
    }

    private func forgetBeat(_ place: StepPlace) {
        beats[place] = nil
        endedBeats.insert(place)
    }

    /// Runs whose signs of life are of no use any more, beside those that are forgotten.
    private(set) var beatless: Set<Int64> = []

    private func forgetBeats(of run: Int64) {
        beatless.insert(run)
        for place in beats.keys where place.run == run { beats[place] = nil }
    }

    // MARK: Messages

    func consume(_ number: Int64) { consumed.append(number) }

    func deliver(_ delivery: Delivery, to run: Int64, at: Timestamp) {
        messages.add(delivery, run, at: at)
    }

    /// Of a message that went to another run of its chain.
    func remember(_ delivery: Delivery, as known: KnownDelivery, of run: Int64, at: Timestamp) {
        messages.add(delivery, run, at: at, known: known)
    }

    /// After a message was accepted.
    func addWake(of run: Int64, _ wake: Wake, at: Timestamp) { wakes[run, default: WakeTimes()].add(wake, at: at) }

    /// After a run's state has changed, or it has read messages: others may count now.
    func renewWake(of run: Int64) { renewedWakes.insert(run) }

    func dropWaiters(ofKey number: Int64) { toldKeys.append(number) }

    func changeSchedule(_ key: ScheduleKey) { changedSchedules.insert(key) }
}

/// What an event changes that is only a view of the history, beside its mark.
enum EventView {
    case none
    /// Somebody is asked for something.
    case request
    /// What was asked by an event of this kind is settled.
    case endOfRequest(EventKind)
    /// The step or undo has no more use for a sign of life.
    case endOfBeat(isUndo: Bool)
    /// None of the run has.
    case endOfBeats
    case labels
}

extension Event {
    var view: EventView {
        switch kind {
        case .approvalRequested, .questionAsked: .request
        case .approvalDecided, .approvalExpired, .approvalCancelled, .approvalVoided: .endOfRequest(.approvalRequested)
        case .questionAnswered, .questionExpired, .questionCancelled: .endOfRequest(.questionAsked)
        case .stepSucceeded, .stepFailed, .stepCancelled, .stepResolved: .endOfBeat(isUndo: false)
        case .undoSucceeded, .undoResolved: .endOfBeat(isUndo: true)
        case .runReset: .endOfBeats
        case .labelsChanged: .labels
        case .runStarted where seq == 1: .labels
        default: .none
        }
    }
}

/// The columns of events that are appended.
struct EventColumns {
    private(set) var run: [Int64] = []
    private(set) var seq: [Int64] = []
    private(set) var at: [Int64] = []
    private(set) var kind: [String] = []
    private(set) var subject: [String] = []
    private(set) var attributes: [String] = []
    private(set) var input: [Bytes?] = []
    private(set) var inputSize: [Int64?] = []
    private(set) var output: [Bytes?] = []
    private(set) var outputSize: [Int64?] = []
    private(set) var codec: [Int64] = []
    private(set) var keyID: [String?] = []
    private(set) var hash: [Bytes] = []

    mutating func add(_ event: Event, _ run: Int64) {
        self.run.append(run)
        seq.append(event.seq)
        at.append(event.at.microseconds)
        kind.append(event.kind.rawValue)
        subject.append(event.subject)
        attributes.append(event.attributes.text)
        let (input, inputSize) = Self.stored(event.input), (output, outputSize) = Self.stored(event.output)
        self.input.append(input)
        self.inputSize.append(inputSize)
        self.output.append(output)
        self.outputSize.append(outputSize)
        codec.append(Int64(event.codec.rawValue))
        keyID.append(event.keyID)
        hash.append(Bytes(event.hash.bytes))
    }

    /// The bytes, or for a large value its digest with the size beside it.
    private static func stored(_ value: StoredValue?) -> (Bytes?, Int64?) {
        switch value {
        case nil: (nil, nil)
        case .inline(let bytes)? where bytes.count <= StoredValue.inlineLimit: (Bytes(bytes), nil)
        case let large?: (Bytes(large.digest), large.size)
        }
    }
}

/// Large values, which a run keeps once; two runs never share one.
struct BlobColumns {
    private(set) var run: [Int64] = []
    private(set) var digest: [Bytes] = []
    private(set) var content: [Bytes] = []
    /// An event whose large value has no bytes that could be stored, which nobody should ask for.
    private(set) var missing: Int64?

    var isEmpty: Bool { run.isEmpty }

    mutating func add(_ event: Event, _ run: Int64) {
        for value in [event.input, event.output] {
            guard let value, value.isLarge else { continue }
            guard case .inline(let bytes) = value else {
                missing = event.seq
                continue
            }
            self.run.append(run)
            digest.append(Bytes(value.digest))
            content.append(Bytes(bytes))
        }
    }
}

/// Messages that are put into inboxes, in their order.
struct MessageColumns {
    private(set) var run: [Int64] = []
    private(set) var id: [String] = []
    private(set) var at: [Int64] = []
    private(set) var kind: [String] = []
    private(set) var name: [String] = []
    private(set) var payload: [Bytes?] = []
    private(set) var sender: [String] = []
    private(set) var isConsumed: [Bool] = []

    var isEmpty: Bool { run.isEmpty }

    /// - Parameter known: If given, that is what is remembered of it, and it is for nobody to read.
    mutating func add(_ delivery: Delivery, _ run: Int64, at: Timestamp, known: KnownDelivery? = nil) {
        self.run.append(run)
        id.append(delivery.id)
        self.at.append(at.microseconds)
        kind.append(delivery.kind.rawValue)
        name.append(delivery.name)
        payload.append((known.map(\.digest) ?? delivery.payload).map(Bytes.init))
        sender.append(delivery.sender.storedText)
        isConsumed.append(known != nil)
    }
}
