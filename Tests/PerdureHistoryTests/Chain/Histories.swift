import PerdureHistory

/// Histories to damage.
enum Histories {
    static let namespace = "default"
    static let run = "0195a9d0-0000-7000-8000-000000000001"

    /// Eight events that use every kind of field content.
    static func sample() -> [Event] {
        var head = ChainHead.start(namespace: namespace, run: run)
        var events: [Event] = []
        for index in 0..<8 {
            let draft = EventDraft(
                EventKind.allCases[index],
                subject: index % 2 == 0 ? "step#\(index)" : "",
                attributes: index % 3 == 0 ? .none : ["attempt": .integer(Int64(index))],
                input: index % 4 == 0 ? nil : .inline(Array("\(index)".utf8)),
                output: index % 4 == 2 ? nil : .spilled(digest: Array(repeating: UInt8(index), count: 32), size: Int64(index)))
            events.append(
                head.append(
                    draft, run: run, now: Timestamp(microseconds: Int64(index / 2) * 10),
                    keyID: index % 3 == 1 ? "key" : nil))
        }
        return events
    }
}
