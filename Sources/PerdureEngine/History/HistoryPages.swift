import PerdureHistory

/// A history, read a part at a time.
protocol HistoryPages {
    /// The next events, or nil after the last.
    mutating func next() async throws(HistoryReader.Failure) -> [Event]?
}

/// Those of a history that is in memory.
struct RecordedPages: HistoryPages {
    private var rest: ArraySlice<Event>
    /// As the reader of a store has it.
    private static let limit = 1_000

    init(_ events: [Event]) { rest = events[...] }

    mutating func next() async throws(HistoryReader.Failure) -> [Event]? {
        guard !rest.isEmpty else { return nil }
        let page = rest.prefix(Self.limit)
        rest = rest.dropFirst(page.count)
        return Array(page)
    }
}
