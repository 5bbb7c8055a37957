internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension MemoryState {
    /// Where in `queues` a run's place would be.
    func queueIndex(of place: QueuePlace, in namespace: String) -> Int? {
        queueNumbers[QueueKey(namespace: namespace, name: place.name)]
    }

    /// Why the run cannot have the place that it wants.
    func refusal(ofPlaceOf run: NewRun) -> CommitRefusal? {
        guard let place = run.place, queueIndex(of: place, in: run.record.namespace) == nil else { return nil }
        return .queueUnknown(place.name)
    }

    mutating func setQueue(_ name: QueueKey, _ limits: QueueLimits, by sender: Principal, now: Timestamp) {
        if let index = queueNumbers[name] {
            guard queues[index].set(limits, by: sender, at: now) else { return }
        } else {
            queueNumbers[name] = queues.count
            queues.append(MemoryQueue(name, limits, by: sender, at: now))
        }
        (hasNews, hasQueueNews) = (true, true)
    }

    // MARK: Admission

    /// Gives places away as long as there are any and somebody waits.
    mutating func admit(now: Timestamp) -> Admission {
        var answer = Admission()
        for queue in queues.indices {
            let (admitted, next) = admit(from: queue, now: now)
            answer.admitted += admitted
            if let next { answer.next = min(answer.next ?? next, next) }
        }
        if answer.admitted > 0 { hasNews = true }
        return answer
    }

    private mutating func admit(from queue: Int, now: Timestamp) -> (admitted: Int, next: Timestamp?) {
        let limits = queues[queue].limits, free = limits.concurrency - queues[queue].held
        let allowance = limits.rate?.allowance(queues[queue].slot, now: now) ?? .max
        let room = min(QueueTurns.atOnce, free, allowance)
        var admitted = 0, empty: Set<ByteText> = []
        while admitted < room, let key = nextKey(in: queue, besides: empty) {
            guard let run = nextRun(of: key, in: queue) else {
                empty.insert(key)
                continue
            }
            begin(Int(run) - 1, now: now)
            queues[queue].pass(key)
            admitted += 1
        }
        for key in empty.sorted() { queues[queue].pass(key) }
        guard let rate = limits.rate else {
            let isCutOff = admitted == QueueTurns.atOnce && admitted < free && nextKey(in: queue, besides: empty) != nil
            return (admitted, isCutOff ? now : nil)
        }
        queues[queue].slot = rate.slot(after: admitted, from: queues[queue].slot, now: now)
        let waits = admitted < free && nextKey(in: queue, besides: empty) != nil
        return (admitted, waits ? max(now, rate.opens(queues[queue].slot, now: now)) : nil)
    }

    private func nextKey(in queue: Int, besides others: Set<ByteText>) -> ByteText? {
        var next: ByteText?
        queues[queue].turns.forEach { turn in
            if others.contains(turn.key) { return true }
            next = turn.key
            return false
        }
        return next
    }

    /// One that is to be looked after in its place is passed over: it may well end there.
    private func nextRun(of key: ByteText, in queue: Int) -> Int64? {
        var next: Int64?
        queues[queue].keys[key]?.line.forEach { place in
            let run = runs[Int(place.run) - 1]
            if run.hostAt != nil || run.anyoneAt != nil { return true }
            next = place.run
            return false
        }
        return next
    }

    private mutating func begin(_ index: Int, now: Timestamp) {
        change(index) { run in
            run.record.state = .ready
            run.record.isAdmitted = true
            run.record.wakeAt = nil
            run.since = now
            run.renewWake()
        }
    }

    // MARK: Looking

    func standings(ofQueuesIn namespace: String?) -> [QueueStanding] {
        var holders = queues.map { _ in [RunState: Int]() }
        for run in runs {
            if let holding = run.holding { holders[holding.queue][run.record.state, default: 0] += 1 }
        }
        return zip(queues, holders).filter { namespace == nil || $0.0.name.namespace == namespace }.map { queue, holders in
            let lines = queue.keys.values.map(\.line.count).filter { $0 > 0 }
            return QueueStanding(
                queue: queue.name, limits: queue.limits, waiting: lines.reduce(0, +), waitingKeys: lines.count, holders: holders,
                changedBy: queue.changedBy, changedAt: queue.changedAt)
        }.sorted { $0.queue < $1.queue }
    }

    func queuePosition(of run: Int64) -> QueuePosition? {
        guard let index = index(of: run), let queue = runs[index].record.queue, let place = runs[index].place,
            !runs[index].record.state.isFinal, runs[index].record.state != .quarantined
        else { return nil }
        var ahead: Int?
        if let waiting = runs[index].waiting {
            var count = 0
            queues[waiting.queue].keys[waiting.key]?.line.forEach { other in
                guard other.run != run, count < QueuePosition.most else { return false }
                count += 1
                return true
            }
            ahead = count
        }
        return QueuePosition(
            queue: queues[Int(queue) - 1].name, key: place.key, priority: place.priority,
            isAdmitted: runs[index].record.isAdmitted,
            ahead: ahead)
    }

    // MARK: Audit

    /// What a run's row says of its queue, and what it should.
    func queueBreaches(_ index: Int) -> [String] {
        let run = runs[index], record = run.record
        var breaches: [String] = []
        func breach(_ text: String) { breaches.append("run \(record.id) is \(record.state.rawValue) but \(text)") }
        if let queue = record.queue {
            if queues.indices.contains(Int(queue) - 1), let place = run.place {
                if queues[Int(queue) - 1].name != QueueKey(namespace: record.namespace, name: place.name) {
                    breach("has its place in another queue")
                }
            } else {
                breach("its queue is not there")
            }
        }
        if record.state == .queued, record.queue == nil || record.isAdmitted { breach("waits for nothing") }
        if record.state == .queued, record.wakeAt != run.deadline { breach("wakes at another time than its deadline") }
        if !record.isAdmitted {
            if record.queue == nil { breach("was not admitted although it has no queue") }
            if [.ready, .waiting, .blocked, .parked, .completed].contains(record.state) { breach("was not admitted") }
        }
        return breaches
    }

    /// Whether those who wait are found, and places counted, as the rows say.
    func queueBreaches(besides expected: MemoryState) -> [String] {
        var breaches: [String] = []
        for (queue, other) in zip(queues, expected.queues) {
            let keys = Set(queue.keys.keys).union(other.keys.keys).sorted()
            for key in keys {
                let found = queue.keys[key], rows = other.keys[key]
                if found?.line.elements != rows?.line.elements || found?.held != rows?.held {
                    breaches.append("the line of '\(key.text.legible)' in queue '\(queue.name.name)' is not that of the runs")
                }
            }
            if queue.held != other.held { breaches.append("queue '\(queue.name.name)' counts other places than the runs have") }
            let open = queue.keys.filter { queue.mayHaveTurn($0.value) }.map {
                MemoryQueue.Turn(turn: $0.value.turn, key: $0.key)
            }
            if queue.turns.elements != open.sorted() {
                breaches.append("the keys of queue '\(queue.name.name)' do not take turns as they should")
            }
        }
        return breaches
    }
}
