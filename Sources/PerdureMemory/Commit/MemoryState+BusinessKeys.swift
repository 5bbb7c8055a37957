internal import Perdure
internal import PerdureHistory
internal import PerdureStore

struct BusinessKeyName: Hashable, Sendable {
    let namespace: ByteText
    let step: ByteText
    let key: ByteText

    init(_ key: BusinessKey) {
        namespace = ByteText(key.namespace)
        step = ByteText(key.step)
        self.key = ByteText(key.key)
    }
}

/// A business key with those who wait for it.
struct MemoryBusinessKey: Sendable {
    var record: BusinessKeyRecord
    var waiters = OrderedIndex<Waiter>()

    struct Waiter: Hashable, Comparable {
        let run: Int64
        let subject: ByteText

        static func < (left: Waiter, right: Waiter) -> Bool { (left.run, left.subject) < (right.run, right.subject) }
    }
}

extension MemoryState {
    func businessKey(_ key: BusinessKey) -> Int? { businessKeyNumbers[BusinessKeyName(key)] }

    /// Who stands in the way of taking the key: another step that has it, or a generation that the taker has not heard of.
    func obstacle(to take: BusinessKeyTake, by run: RunID) -> BusinessKeyRecord? {
        guard let record = businessKey(take.key).map({ businessKeys[$0].record }) else { return nil }
        if record.outcome == .free { return record.generation == take.generation ? nil : record }
        return record.holder == run && ByteText(record.subject) == ByteText(take.subject) ? nil : record
    }

    /// What is wrong with taking these keys together.
    func flaw(of takes: [BusinessKeyTake]) -> String? {
        for (place, take) in takes.enumerated() {
            let texts = [take.key.namespace, take.key.step, take.key.key, take.subject, take.inputDigest]
            guard texts.allSatisfy(\.isStorable) else { return "a text of a business key has a NUL" }
            let name = BusinessKeyName(take.key), subject = ByteText(take.subject)
            guard takes[..<place].allSatisfy({ BusinessKeyName($0.key) != name || ByteText($0.subject) == subject }) else {
                return "two steps of one run take the business key '\(take.key.key)' of step '\(take.key.step)'"
            }
        }
        return nil
    }

    /// Takes a key that nothing stands in the way of.
    mutating func take(_ take: BusinessKeyTake, holder: RunID) {
        guard let number = businessKey(take.key) else {
            businessKeyNumbers[BusinessKeyName(take.key)] = businessKeys.count
            businessKeys.append(
                MemoryBusinessKey(
                    record: BusinessKeyRecord(
                        key: take.key, generation: take.generation, holder: holder, subject: take.subject,
                        inputDigest: take.inputDigest, outcome: .open)))
            return
        }
        guard businessKeys[number].record.outcome == .free else { return }
        businessKeys[number].record.holder = holder
        businessKeys[number].record.subject = take.subject
        businessKeys[number].record.inputDigest = take.inputDigest
        businessKeys[number].record.outcome = .open
    }

    /// Ends the holding and tells everybody who waits. Done again, or by a step that is not the holder, it changes nothing.
    ///
    /// - Parameter seq: Where the holder's history stands then.
    mutating func settle(_ settlement: BusinessKeySettlement, holder: RunID, at seq: Int64, now: Timestamp) {
        guard let number = businessKey(settlement.key) else { return }
        let record = businessKeys[number].record
        guard record.holder == holder, ByteText(record.subject) == ByteText(settlement.subject) else { return }
        switch (settlement.end, record.outcome) {
        case (_, .free), (.happened, .happened), (.undoing, .open): return
        case (.undoing, .happened):
            businessKeys[number].record.outcome = .open
            return
        case (.happened(let output), .open): businessKeys[number].record.outcome = .happened(output: output)
        case (.free, .open), (.free, .happened):
            businessKeys[number].record.outcome = .free
            businessKeys[number].record.generation += 1
        }
        tellWaiters(of: number, "\(holder)/\(seq)", now: now)
    }

    private mutating func tellWaiters(of number: Int, _ commit: String, now: Timestamp) {
        let waiters = businessKeys[number].waiters.elements
        businessKeys[number].waiters = OrderedIndex()
        for waiter in waiters {
            guard let index = index(of: waiter.run) else { continue }
            runs[index].waits.removeAll { $0.key == number && $0.subject == waiter.subject }
            let subject = waiter.subject.text
            // Derived from the commit: one key may settle several times in a generation, and whoever waits again is told again.
            let id = "key_settled/\(number + 1)/\(commit)/\(subject)"
            let sender = Principal(.system, "store", authentication: "internal")
            // One that has closed meanwhile no longer wants to know.
            _ = deliver(Delivery(to: runs[index].record.id, id: id, kind: .keySettled, name: subject, sender: sender), now: now)
        }
    }

    // MARK: Waiting

    mutating func awaitKey(_ key: BusinessKey, run: Int64, subject: String) throws(StoreError) -> BusinessKeyRecord? {
        guard let index = index(of: run), subject.isStorable else {
            throw .unavailable("run number \(run) does not exist, or cannot have this step")
        }
        let id = runs[index].record.id
        guard let number = businessKey(key) else {
            // Never taken: the asker may take it, and would wait for ever.
            return BusinessKeyRecord(key: key, generation: 1, holder: id, subject: subject, inputDigest: "", outcome: .free)
        }
        guard businessKeys[number].record.outcome == .open else { return businessKeys[number].record }
        // A run that has closed waits for nothing.
        guard !runs[index].record.state.isFinal else { return nil }
        let subject = ByteText(subject), wait = MemoryRun.KeyWait(subject: subject, key: number)
        businessKeys[number].waiters.insert(.init(run: run, subject: subject))
        if !runs[index].waits.contains(wait) {
            runs[index].waits.append(wait)
            runs[index].waits.sort()
        }
        return nil
    }

    func awaitedKeys(of run: Int64) -> [BusinessKeyWait] {
        guard let index = index(of: run) else { return [] }
        return runs[index].waits.map { BusinessKeyWait(subject: $0.subject.text, record: businessKeys[$0.key].record) }
    }

    mutating func dropWaits(of index: Int) {
        for wait in runs[index].waits {
            businessKeys[wait.key].waiters.remove(.init(run: Int64(index) + 1, subject: wait.subject))
        }
        runs[index].waits = []
    }
}
