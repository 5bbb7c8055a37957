public import Foundation
public import Perdure
import PerdureHistory
import PerdureStore

/// What is started again and again, when, and what happens if the run before has not ended.
///
/// Each due time starts one run, whatever crashes and however many engines share the store. The run's workflow key names schedule and
/// due time, so that a backfill over times that have started a run starts none.
public struct Schedule: Sendable, Hashable {
    /// What becomes of a due time while a run of this schedule is still open.
    public enum Overlap: String, Sendable, Hashable, CaseIterable {
        /// It is passed over, and counted.
        case skip
        /// It waits, and starts its run when those before have ended, one after the other. At most 100 wait; what comes then is passed
        /// over.
        case queue
        /// The open run is cancelled, which undoes what it has done; the new one starts when that has ended. Of several due times meanwhile
        /// the last one waits.
        case cancelOther = "cancel_other"
        /// It starts its run beside the others.
        case allow
    }

    /// When it is due.
    public var spec: ScheduleSpec
    /// The workflow whose runs it starts.
    public var workflow: String
    /// The version to start; nil for the newest that any living node hosts at that time.
    public var version: WorkflowVersion?
    /// The input of every run, as JSON. At most 64 KiB.
    public var input: Data
    /// Labels of every run; see `WorkflowContext.label`.
    public var labels: [String: String] = [:]
    /// How long each run may take; see `Engine.start`.
    public var deadline: Duration?
    /// The place that each run takes in a queue of the schedule's namespace; nil for none. What waits there counts as open.
    public var queue: QueuePlace?
    /// What happens while the run before is still open. Default: `.skip`.
    public var overlap = Overlap.skip
    /// How late a run may start. A due time that nobody could act on for longer, because no engine ran, is missed, and counted.
    /// At least 1 s. Default: one day.
    public var catchUp: Duration = .days(1)
    /// Spreads the starts: each comes up to this much after its due time, always the same for one due time, and never at or
    /// behind the next one. The due time itself stays as it is. Default: none.
    public var jitter: Duration = .zero

    /// A schedule that starts runs with an input given as JSON.
    public init(_ spec: ScheduleSpec, workflow: String, input: Data) {
        self.spec = spec
        self.workflow = workflow
        self.input = input
    }

    /// A schedule that starts runs of a workflow, in the newest version that is hosted at the time.
    ///
    /// - Throws: `PerdureError` with `value_not_encodable` or `payload_too_large`.
    public init<W: Workflow>(_ spec: ScheduleSpec, _ type: W.Type, input: W.Input) throws {
        do {
            let bytes = try Payload.encode(input, limit: Self.inputLimit, what: "the input of workflow '\(W.name)'").bytes
            self.init(spec, workflow: W.name, input: Data(bytes))
        } catch {
            throw PerdureError(error)
        }
    }

    static let inputLimit = 64 << 10
    /// How many due times may wait under `.queue`.
    static let queueLimit = 100

    /// The same with its texts in the form in which they are recorded.
    ///
    /// - Throws: `PerdureError` with `name_invalid`, `label_invalid`, `input_undecodable`, `payload_too_large` or `schedule_invalid`.
    func checked() throws -> Schedule {
        guard Name.isIdentifier(workflow) else {
            throw PerdureError(
                .nameInvalid,
                "'\(workflow.prefix(100))' cannot be a workflow's name: use 1 to 128 letters, digits, '-', '_' and '.'.")
        }
        if let flaw = queue?.flaw { throw PerdureError(.nameInvalid, "\(flaw).") }
        if let version, !version.isValid {
            throw PerdureError(
                .nameInvalid, "'\(version.description.prefix(100))' cannot be a version of workflow '\(workflow)'.")
        }
        guard catchUp >= .seconds(1), jitter >= .zero, jitter <= .days(365) else {
            throw PerdureError(
                .scheduleInvalid, "The catch-up window is \(catchUp), the jitter \(jitter): at least 1 second, and 0 to 365 days."
            )
        }
        var checked = self
        checked.labels = labels.isEmpty ? [:] : try Labels(labels).values
        checked.deadline = deadline.map { .microseconds(max($0, .milliseconds(1)).microseconds) }
        (checked.catchUp, checked.jitter) = (.microseconds(catchUp.microseconds), .microseconds(jitter.microseconds))
        let what = "the input of schedule"
        do throws(PayloadError) {
            let bytes = try JSONValue.parse(Array(input), what: what).canonicalBytes
            guard bytes.count <= Self.inputLimit else {
                throw .tooLarge(what: what, size: bytes.count, limit: Self.inputLimit)
            }
            checked.input = Data(bytes)
        } catch {
            throw PerdureError(error)
        }
        return checked
    }
}

// MARK: - As JSON

extension Schedule {
    var json: JSONValue {
        var object: JSONObject = [
            "workflow": .string(workflow), "input": .string(String(decoding: input, as: UTF8.self)),
            "overlap": .string(overlap.rawValue), "catch_up": .integer(catchUp.microseconds),
            "jitter": .integer(jitter.microseconds),
        ]
        switch spec.rule {
        case .cron(let expression, let wall):
            object["cron"] = .string(expression.description)
            object["zone"] = .string(wall.name)
        case .every(let length, let offset):
            object["every"] = .integer(length)
            object["offset"] = .integer(offset)
        }
        object["version"] = version.map { .string($0.description) }
        object["deadline"] = deadline.map { .integer($0.microseconds) }
        object["queue"] = queue?.json
        if !labels.isEmpty {
            object["labels"] = .object(JSONObject(labels.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
        }
        return .object(object)
    }

    /// Reads `json`; throws if this release, or this system with its time zones, cannot follow it.
    init(_ value: JSONValue) throws {
        guard let workflow = value["workflow"]?.stringValue, let input = value["input"]?.stringValue,
            let overlap = value["overlap"]?.stringValue.flatMap(Overlap.init), let catchUp = value["catch_up"]?.integerValue,
            let jitter = value["jitter"]?.integerValue
        else { throw BadRow("a schedule lacks something that it needs") }
        let spec: ScheduleSpec
        if let cron = value["cron"]?.stringValue, let zone = value["zone"]?.stringValue {
            spec = try .cron(cron, in: zone)
        } else if let every = value["every"]?.integerValue, let offset = value["offset"]?.integerValue, every > 0 {
            spec = ScheduleSpec(.every(every, offset: offset))
        } else {
            throw BadRow("a schedule does not say when it is due")
        }
        self.init(spec, workflow: workflow, input: Data(input.utf8))
        version = value["version"]?.stringValue.map { WorkflowVersion($0) }
        deadline = value["deadline"]?.integerValue.map { .microseconds($0) }
        queue = value["queue"].flatMap(QueuePlace.init)
        for member in value["labels"]?.objectValue?.members ?? [] { labels[member.key] = member.value.stringValue }
        self.overlap = overlap
        self.catchUp = .microseconds(catchUp)
        self.jitter = .microseconds(jitter)
    }
}
