internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// What has to be known before the items of a commit can be decided.
struct CommitWishes {
    /// Runs that are advanced, by number: their rows are locked.
    private(set) var advanced: Set<Int64> = []
    /// Of these, those whose state changes.
    private(set) var moved: Set<Int64> = []
    /// Of these, those that read messages and stay as they are.
    private(set) var readers: Set<Int64> = []
    private(set) var consumed: [Int64] = []
    /// Runs that are named by their ids, be it that they do not exist.
    private(set) var named: Set<RunID> = []
    /// Those that only count if they are of a namespace, with which: of any other nothing is read or locked.
    private(set) var namedWithin: [(run: RunID, namespace: String)] = []
    private(set) var deliveries: [Delivery] = []
    private(set) var workflowKeys: Set<WorkflowKey> = []
    private(set) var keys: Set<BusinessKey> = []
    /// Of these, those that are settled: who waits for them is told.
    private(set) var settled: Set<BusinessKey> = []
    private(set) var schedules: Set<ScheduleKey> = []
    private(set) var queues: Set<QueueKey> = []
    /// The namespaces in which somebody starts runs, which quotas may refuse.
    private(set) var starting: Set<String> = []
    private(set) var creations = 0
    /// Whether a run is advanced twice: what it has read then depends on what becomes of the first.
    private(set) var isEntangled = false

    init(_ items: some Sequence<CommitItem>) {
        for item in items {
            switch item {
            case .create(let run):
                starting.insert(run.record.namespace)
                add(run)
            case .advance(let advance): add(advance)
            case .deliver(let delivery): add(delivery)
            case .beat(let heartbeat): advanced.insert(heartbeat.run)
            case .schedule(let change):
                schedules.insert(change.key)
                for start in change.starts {
                    starting.insert(start.record.namespace)
                    add(start)
                }
                for delivery in change.deliveries { add(delivery) }
            }
        }
    }

    private mutating func add(_ run: NewRun) {
        creations += 1
        named.insert(run.record.id)
        if let place = run.place { queues.insert(QueueKey(namespace: run.record.namespace, name: place.name)) }
        if let key = run.record.key {
            workflowKeys.insert(WorkflowKey(namespace: run.record.namespace, workflow: run.record.workflow, key: key))
        }
    }

    private mutating func add(_ delivery: Delivery) {
        deliveries.append(delivery)
        if let namespace = delivery.within {
            namedWithin.append((delivery.run, namespace))
        } else {
            named.insert(delivery.run)
        }
    }

    private mutating func add(_ advance: RunAdvance) {
        if !advanced.insert(advance.run).inserted { isEntangled = true }
        if advance.transition != nil { moved.insert(advance.run) }
        if !advance.consumed.isEmpty {
            readers.insert(advance.run)
            consumed += advance.consumed
        }
        for take in advance.takes { keys.insert(take.key) }
        for settlement in advance.settles {
            keys.insert(settlement.key)
            settled.insert(settlement.key)
        }
        for child in advance.children { add(child) }
        for delivery in advance.deliveries { add(delivery) }
        if let successor = advance.successor { add(successor) }
    }
}
