package import Perdure
package import PerdureHistory
import PerdureStore

/// A child as the code asks for it, without its closures.
package struct ChildRequest: Sendable {
    package var subject: String
    /// The path of the scope it belongs to.
    package var scope: String
    package var workflow: String
    /// `nil` if nobody here hosts the version that the code asks for.
    package var version: String?
    package var undo: StepRequest.Undo?
    package var irreversible: String?
    package var policy: ChildPolicy
    /// The code waits for the start only.
    package var isDetached: Bool
    /// Canonical JSON.
    package var input: [UInt8]
    /// Whether recorded input bytes mean the same to today's type: identical, or equal after decoding and encoding again.
    package var accepts: @Sendable ([UInt8]) -> Bool

    package init(
        subject: String, scope: String = "", workflow: String, version: String?, undo: StepRequest.Undo? = nil,
        irreversible: String? = nil, policy: ChildPolicy = .cancel, isDetached: Bool = false, input: [UInt8],
        accepts: (@Sendable ([UInt8]) -> Bool)? = nil
    ) {
        self.subject = subject
        self.scope = scope
        self.workflow = workflow
        self.version = version
        self.undo = undo
        self.irreversible = irreversible
        self.policy = policy
        self.isDetached = isDetached
        self.input = input
        self.accepts = accepts ?? { $0 == input }
    }

    /// The step whose undo takes the child's completion back.
    var undone: StepRequest {
        StepRequest(
            subject: subject, name: workflow, scope: scope, effect: .idempotent(.forever), undo: undo, input: input,
            accepts: accepts)
    }
}

/// Where a child stands, as its parent sees it. `docs/state-machine.md` draws the transitions; a test fails if one is not covered.
package enum ChildPhase: UInt8, Sendable, Hashable, CaseIterable {
    /// Asked for by the code; the run has not come to rest since.
    case requested
    /// Outstanding at rest; `child.started` is not in history yet, and there is no child.
    case released
    /// The child exists.
    case started
    /// The child has been told to end, and its end is waited for.
    case cancelling
    /// It completed although it was no longer wanted, and is being undone before its wait ends.
    case undoing
    /// The code no longer waits for a child that may go on; the event that says so is still to come.
    case abandoned
    /// Over. The operation is forgotten.
    case ended
}

/// A pair of phases of a child, as the diagram draws it.
package struct ChildTransition: Hashable, Sendable, CustomStringConvertible {
    package let from: ChildPhase
    package let to: ChildPhase

    package init(_ from: ChildPhase, _ to: ChildPhase) {
        self.from = from
        self.to = to
    }

    package var description: String { "\(from) → \(to)" }

    /// Where it leads. A mutant of it leads nowhere.
    var destination: ChildPhase { Mutant.isOn("child: \(self)") ? from : to }

    package var isLegal: Bool { Self.all.contains(self) }

    /// Every transition that exists. A move outside this list is a bug of the machine.
    package static let all: [ChildTransition] = [
        .init(.requested, .released), .init(.requested, .ended),
        .init(.released, .started), .init(.released, .abandoned), .init(.released, .ended),
        .init(.started, .cancelling), .init(.started, .undoing), .init(.started, .abandoned), .init(.started, .ended),
        .init(.cancelling, .undoing), .init(.cancelling, .ended),
        .init(.undoing, .ended), .init(.abandoned, .ended),
    ]
}

/// One child, from the moment the code asks until its last event.
struct ChildOperation {
    let request: ChildRequest
    var phase = ChildPhase.requested
    /// The child's id, once there is a child.
    var run: RunID?
    /// The event that says so.
    var startedAt: Int64 = 0
    /// The code no longer wants it.
    var isCancelled = false
    var isQueued = false
}

/// A run that is to be made together with the `child.started` that names it.
package struct ChildStart: Sendable {
    package var id: RunID
    package var workflow: String
    package var version: String
    package var parent: ParentLink
    /// Who started the parent: a child acts for the same principal.
    package var starter: Principal
    package var input: [UInt8]
    /// It may have been made before, in a part of the parent's history that is lost.
    var lostPart: LostPart?
    /// The least epoch that it begins with.
    var firstEpoch: Int64 = 0
}

/// What a child's first event says of its parent.
package struct ParentLink: Sendable, Hashable {
    package var run: RunID
    /// The child's identity in the parent.
    package var subject: String
    /// The parent does not want to hear of its end.
    package var isDetached: Bool

    package init(run: RunID, subject: String, isDetached: Bool = false) {
        self.run = run
        self.subject = subject
        self.isDetached = isDetached
    }

    package init?(_ value: JSONValue) {
        guard let object = value.objectValue, let run = object["run"]?.stringValue.flatMap(RunID.init),
            let subject = object["subject"]?.stringValue
        else { return nil }
        self.init(run: run, subject: subject, isDetached: object["detached"]?.boolValue ?? false)
    }

    package var json: JSONValue {
        var object = JSONObject([("run", .string(run.description)), ("subject", .string(subject))])
        if isDetached { object["detached"] = true }
        return .object(object)
    }
}

extension RunID {
    /// The id of a child: derived, so that a start that is repeated is the same child. It sorts beside its parent.
    package static func child(of parent: RunID, namespace: String, subject: String, generation: Int = 0) -> RunID {
        let bits = ChildDerivation.bits(
            namespace: namespace, parent: parent.description, subject: subject, generation: generation)
        let time = parent.description.filter { $0 != "-" }.prefix(12)
        return RunID(milliseconds: Int64(time, radix: 16) ?? 0, random: bits)
    }
}
