internal import PerdureStore

extension Session {
    /// A page, and the first message that it has no room for: the server sends nothing beyond.
    private static let unread = SQL(
        """
        SELECT \(InboxRow.columns) FROM (
            SELECT *, sum(coalesce(octet_length(payload), 0))
                OVER (ORDER BY number ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS before
            FROM perdure.inbox
            WHERE run = $1::bigint AND NOT consumed AND number > $2::bigint AND number <> ALL($3::bigint[])
            ORDER BY number LIMIT \(InboxPage.limit + 1)) AS inbox
            JOIN perdure.runs ON runs.number = inbox.run
        WHERE coalesce(before, 0) < \(InboxPage.size) ORDER BY inbox.number
        """)

    /// - Parameter known: Rows that are left out.
    func inbox(of run: Int64, after number: Int64 = 0, except known: Set<Int64> = []) throws -> InboxPage {
        var page = PageOfRows()
        for row in try all(Self.unread, run, number, Array(known), row: { try InboxRow($0) }) {
            if !page.add(row) { break }
        }
        return page.page
    }

    /// The first pages of several runs, in one round trip, in the order of the runs.
    func inboxes(of runs: [Int64]) throws -> [(Int64, InboxPage)] {
        var pages = Dictionary(runs.map { ($0, PageOfRows()) }) { first, _ in first }
        try pipeline { pipe in
            for run in runs {
                try pipe.all(Self.unread, run, Int64(0), [Int64]()) { row in _ = pages[run]?.add(try InboxRow(row)) }
            }
        }
        return runs.compactMap { run in pages[run].map { (run, $0.page) } }
    }
}
