import PerdureHistory
import PerdureStore

// What is known of the inbox, and when it has to be read.
extension Activation.State {
    /// Whether the inbox has to be read: something is due and waits for it, or it has more, and everything that is known of it is in
    /// history.
    var needsInbox: Bool {
        if isReadingInbox || isClosed || !isOwned { return false }
        // What is due and was read for waits for the commit that is under way, not for the inbox.
        return hasMoreRows
            ? facts.isEmpty && heldFacts.isEmpty && inFlight == nil : heldDues.contains { $0.at > inboxReadAt }
    }

    /// Takes what has come due. What the inbox may have something to say about is held back until it was read after that time.
    mutating func takeDues(now: Timestamp) {
        heldDues += machine.dueFacts(now: now)
        facts += heldDues.filter { $0.at <= inboxReadAt }
        heldDues.removeAll { $0.at <= inboxReadAt }
    }

    mutating func take(_ inbox: ReadInbox) {
        inboxReadAt = max(inboxReadAt, inbox.completeUntil)
        hasMoreRows = hasLeftNews
        take(InboxPage(rows: inbox.rows, hasMore: inbox.hasMore))
    }

    /// What came behind messages that are still in the store has to wait for them.
    mutating func take(_ page: InboxPage) {
        take(page.rows)
        guard page.hasMore, let last = page.rows.last?.number else { return }
        hasMoreRows = true
        let early = facts.compactMap(\.fact.row?.number).filter { $0 > last }
        if early.isEmpty { return }
        knownRows.subtract(early)
        facts.removeAll { ($0.fact.row?.number ?? 0) > last }
    }

    /// Takes in what has just come, unless older messages are still in the store, or too many are in memory: then it is read with them.
    mutating func takeNews(_ rows: [InboxRow]) {
        if !hasMoreRows, facts.count < InboxPage.limit { return take(rows) }
        hasMoreRows = true
        hasLeftNews = true
    }

    /// Forgets rows that nothing will be heard of any more: rows that come while the run is owned come in order. What the inbox was read
    /// for before they were taken in may still name them.
    mutating func forgetConsumedRows(below rows: [InboxRow]) {
        if isReadingInbox { return }
        guard let first = rows.first?.number, !consumedRows.isEmpty else { return }
        consumedRows = consumedRows.filter { $0 >= first }
    }

    /// Takes unread inbox rows in, each once.
    mutating func take(_ rows: [InboxRow]) {
        var last = facts.last { $0.fact.row != nil }?.fact.row?.number ?? 0, isInOrder = true
        for row in rows where !consumedRows.contains(row.number) && knownRows.insert(row.number).inserted {
            facts.append((row.at, .inbox(row)))
            if row.number < last { isInOrder = false }
            last = row.number
        }
        if isInOrder { return }
        // Rows come by two ways, and those of one moment have nothing but their numbers to say which was first.
        let places = facts.indices.filter { facts[$0].fact.row != nil }
        let ordered = places.map { facts[$0] }.sorted { ($0.fact.row?.number ?? 0) < ($1.fact.row?.number ?? 0) }
        for (place, fact) in zip(places, ordered) { facts[place] = fact }
    }
}
