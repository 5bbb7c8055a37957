internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension MemoryState {
    // MARK: Children

    /// What a child of an advance can be refused for.
    func refusal(of child: NewRun) -> CommitRefusal? {
        guard let first = child.events.first, first.seq == 1, child.events.isGapless else {
            return .invalid("a child needs its first event, and the others in sequence")
        }
        let record = child.record
        guard record.owner == nil, record.key == nil, record.origin == nil, !record.state.isFinal, child.place == nil else {
            return .invalid("a child begins open, without an owner, a key and a place in a queue")
        }
        guard let existing = index(of: record.id) else { return flaw(of: child).map { .invalid($0) } }
        let other = runs[existing].record
        guard other.namespace == record.namespace, other.workflow == record.workflow, let place = runs[existing].place(of: 1),
            child.isSameChild(asRunStartedBy: runs[existing].events[place])
        else { return .invalid("the run id \(record.id) belongs to another run") }
        return nil
    }

    // MARK: Successors

    /// What a successor can be refused for.
    func refusal(of successor: NewRun, after advance: RunAdvance, _ index: Int) -> CommitRefusal? {
        guard let first = successor.events.first, first.seq == 1, successor.events.isGapless else {
            return .invalid("a successor needs its first event, and the others in sequence")
        }
        guard advance.transition?.state == .completed, advance.events.last?.kind == .runContinued else {
            return .invalid("only a run that closes as continued has a successor")
        }
        let record = successor.record, run = runs[index].record
        guard record.owner == nil, !record.state.isFinal, successor.place == nil, record.namespace == run.namespace,
            record.workflow == run.workflow,
            record.key == run.key, record.origin == run.chain
        else { return .invalid("a successor begins open and without an owner, and has the workflow, key and origin of its run") }
        guard self.index(of: record.id) == nil, !advance.children.contains(where: { $0.record.id == record.id }) else {
            return .invalid("the run id \(record.id) belongs to another run")
        }
        guard chainEnds[run.chain.run] ?? run.number == run.number else {
            return .invalid("the chain of run \(run.chain.run) has another end")
        }
        return flaw(of: successor).map { .invalid($0) }
    }

    /// Hands the key over and makes the successor.
    mutating func start(_ successor: NewRun, after index: Int) {
        if let key = WorkflowKey(runs[index].record) { keys[key] = nil }
        runs[index].record.key = nil
        runs[index].record.successor = successor.record.id
        insert(successor, after: index)
    }
}
