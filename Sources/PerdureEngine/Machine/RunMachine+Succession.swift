package import Perdure
package import PerdureHistory
import PerdureStore

/// What the run is to be continued as.
struct Succession {
    let version: String
    /// Canonical JSON.
    let input: [UInt8]
}

/// A run that is to be made together with the `run.continued` that names it.
package struct SuccessorStart: Sendable {
    package var id: RunID
    package var version: String
    package var input: [UInt8]
    /// Who started the run that it continues.
    package var starter: Principal
    /// As this run's first event says them.
    package var parent: ParentLink?
    package var key: String?
    package var deadline: Timestamp?
    package var labels: [String: String]
    package var place: QueuePlace?
    /// The run that it continues, and the first one of them all.
    package var previous: RunID
    package var first: RunID
    /// It may have been made before, in a part of that run's history that is lost.
    var lostPart: LostPart?
    /// The least epoch that it begins with.
    var firstEpoch: Int64 = 0
}

/// What a run's first event says of the runs that it continues.
package struct ContinuedRun: Sendable, Hashable {
    package var run: RunID
    package var first: RunID

    package init?(_ value: JSONValue) {
        guard let run = value["run"]?.stringValue.flatMap(RunID.init), let first = value["first"]?.stringValue.flatMap(RunID.init)
        else { return nil }
        self.run = run
        self.first = first
    }

    init(run: RunID, first: RunID) {
        self.run = run
        self.first = first
    }

    var json: JSONValue { ["run": .string(run.description), "first": .string(first.description)] }
}

// Being continued: the run closes, and the same commit makes the run that goes on.
extension RunMachine {
    /// The code asks for it; the first request counts. Returns whether it is to be: not if the run is being cancelled.
    package mutating func requestSuccession(version: String, input: [UInt8]) -> Bool {
        if cancelWasRequested || verdict != nil { return false }
        if succession == nil { succession = Succession(version: version, input: input) }
        return true
    }

    /// What ends from here on ends because of it, in the tasks beside the one that has asked too, and undoes nothing that has completed.
    package var isBeingContinued: Bool { succession != nil }

    /// Somebody wants the run to end, and it has not closed yet: what it did is undone.
    mutating func giveUpSuccession() {
        guard succession != nil else { return }
        succession = nil
        guard rootResult == .continued else { return }
        rootResult = .cancelled
        unwindByItself()
    }

    func continued(_ succession: Succession) -> EventDraft {
        EventDraft(
            .runContinued, attributes: ["run": .string(successorID.description), "version": .string(succession.version)],
            output: .inline(succession.input))
    }

    private var successorID: RunID { .continuing(identity.id, namespace: identity.namespace) }

    /// The next run, and for its inbox what nobody has taken, in the order in which it came.
    func startSuccessor(_ succession: Succession, into drafts: inout Drafts) {
        drafts.successor = SuccessorStart(
            id: successorID, version: succession.version, input: succession.input, starter: starter ?? .run(identity.id),
            parent: parent, key: key, deadline: deadline, labels: labels, place: place, previous: identity.id,
            first: firstOfChain,
            lostPart: lostPart, firstEpoch: firstEpoch)
        var left: [(seq: Int64, delivery: Delivery)] = []
        for (name, signals) in signalBuffer.sorted(by: { $0.key < $1.key }) {
            left += signals.map { ($0.origin.seq, $0.origin.delivery(.signal, name, $0.payload, to: successorID)) }
        }
        for (name, items) in updates.buffer.sorted(by: { $0.key < $1.key }) {
            left += items.map { ($0.origin.seq, $0.origin.delivery(.update, name, $0.payload, to: successorID)) }
        }
        drafts.deliveries += left.sorted { $0.seq < $1.seq }.map(\.delivery)
        drafts.deliveries += batch.messages.map { row in
            var delivery = row.delivery
            (delivery.run, delivery.payload) = (successorID, delivery.payload ?? Array("null".utf8))
            return delivery
        }
    }
}

/// A signal that the code has not taken.
struct BufferedSignal {
    let payload: [UInt8]
    let origin: MessageOrigin
}

/// Where a message came from that stands in history.
struct MessageOrigin {
    let seq: Int64
    let id: String
    let sender: Principal

    init(_ event: Event) throws {
        let attributes = try event.attributes.object()
        seq = event.seq
        id = attributes["delivery"]?.stringValue ?? "event:\(event.seq)"
        sender = attributes["by"].flatMap(Principal.init) ?? Principal(.system, "unknown")
    }

    func delivery(_ kind: InboxKind, _ name: String, _ payload: [UInt8], to run: RunID) -> Delivery {
        Delivery(to: run, id: id, kind: kind, name: name, payload: payload, sender: sender)
    }
}

extension RunID {
    /// The id of the run that continues another one: derived, so that a commit that is repeated makes the same run.
    package static func continuing(_ run: RunID, namespace: String) -> RunID {
        let bits = ChildDerivation.bits(namespace: namespace, continuing: run.description)
        let time = run.description.filter { $0 != "-" }.prefix(12)
        return RunID(milliseconds: Int64(time, radix: 16) ?? 0, random: bits)
    }
}
