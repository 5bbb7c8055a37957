internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// Everything that a store in memory keeps: what would be on disk elsewhere. A copy of it is a store of its own.
///
/// Whatever is looked through in an order that somebody can see stands in a list or an `OrderedIndex`. Dictionaries and sets are only
/// asked for what they have: their order is another one in every process.
struct MemoryState: Sendable {
    /// By number, which begins with 1.
    var runs: [MemoryRun] = []
    var numbers: [RunID: Int64] = [:]
    /// Who has which workflow key.
    var keys: [WorkflowKey: Int64] = [:]
    /// The last run of each chain by the run that began it. A run that was never continued has no chain.
    var chainEnds: [RunID: Int64] = [:]

    var work: [Work] = []
    var workNumbers: [WorkName: Int] = [:]
    /// By number, which begins with 1. None is ever removed.
    var queues: [MemoryQueue] = []
    /// Where in `queues` each stands.
    var queueNumbers: [QueueKey: Int] = [:]
    /// Runs with an unread message that needs no code.
    var toldAnyone = OrderedIndex<Cause>()
    /// Closed runs that have not expired, by their closing times.
    var closed = OrderedIndex<Cause>()
    var expired = OrderedIndex<Cause>()
    var leftovers = OrderedIndex<Int64>()

    /// In the order of their registration. Ended ones stay as long as they own a run.
    var nodes: [MemoryNode] = []

    var businessKeys: [MemoryBusinessKey] = []
    var businessKeyNumbers: [BusinessKeyName: Int] = [:]

    var schedules: [ScheduleKey: ScheduleRow] = [:]
    var scheduleKeys = OrderedIndex<ScheduleKey>()
    var dueSchedules = OrderedIndex<SchedulePlace>()

    /// What is set for namespaces, by their names, which are ASCII.
    var namespaces: [String: NamespaceRow] = [:]
    var control: [ControlKey: ControlRow] = [:]

    /// Those that are open.
    var circuits: [CircuitName: CircuitRow] = [:]
    /// Of namespaces that have any.
    var quotas: [String: MemoryQuota] = [:]
    /// By number, which begins with 1.
    var restorations: [Restoration] = []

    var openRequests = OrderedIndex<OpenPlace>()
    var lastRequest: Int64 = 0
    /// Never used again.
    var lastInboxRow: Int64 = 0

    /// Whether something has changed that other processes want to hear of.
    var hasNews = false
    /// Whether there may be cause to admit somebody, which the process that has made the change wants to hear of as well.
    var hasQueueNews = false

    struct WorkflowKey: Hashable {
        let namespace: ByteText
        let workflow: ByteText
        let key: ByteText

        init(_ namespace: String, _ workflow: String, _ key: String) {
            self.namespace = ByteText(namespace)
            self.workflow = ByteText(workflow)
            self.key = ByteText(key)
        }

        init?(_ record: RunRecord) {
            guard let key = record.key else { return nil }
            self.init(record.namespace, record.workflow, key)
        }
    }

    struct CircuitName: Hashable {
        let namespace: ByteText
        let resource: ByteText

        init(_ key: CircuitKey) {
            namespace = ByteText(key.namespace)
            resource = ByteText(key.resource)
        }
    }

    /// The event of an open request, in the order in which they were made.
    struct OpenPlace: Hashable, Comparable {
        let position: Int64
        let run: Int64
        let seq: Int64

        static func < (left: OpenPlace, right: OpenPlace) -> Bool { left.position < right.position }
    }

    /// Where in `runs` the run of this number stands.
    func index(of number: Int64) -> Int? {
        guard number > 0, number <= runs.count else { return nil }
        let index = Int(number) - 1
        return runs[index].isGone ? nil : index
    }

    func index(of id: RunID) -> Int? { numbers[id].flatMap { index(of: $0) } }

    func lastOfChain(begunBy first: RunID) -> Int? { chainEnds[first].flatMap { index(of: $0) } }

    mutating func workNumber(of workflow: String, _ version: String) -> Int {
        let name = WorkName(workflow, version)
        if let number = workNumbers[name] { return number }
        work.append(Work(name: name))
        workNumbers[name] = work.count - 1
        return work.count - 1
    }
}
