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

    /// Of each run a page as alone. What stands behind a run whose page ends the answer is not sent: by the sizes of those before it, it is
    /// told from a run without messages. Chosen by numbers and sizes, so that payloads of what is not sent are not carried about.
    static let unreadOfEach = SQL(
        """
        SELECT \(InboxRow.columns) FROM (
            SELECT page.number, place, sum(size) OVER (ORDER BY place GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
            FROM unnest($1::bigint[]) WITH ORDINALITY AS wanted (run, place) JOIN perdure.runs ON runs.number = wanted.run
                CROSS JOIN LATERAL (
                    SELECT inbox.number, coalesce(octet_length(payload), 0) AS size, sum(coalesce(octet_length(payload), 0))
                        OVER (ORDER BY inbox.number ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS before
                    FROM perdure.inbox WHERE inbox.run = wanted.run AND NOT consumed
                    ORDER BY inbox.number LIMIT \(InboxPage.limit + 1)) AS page
            WHERE coalesce(before, 0) < \(InboxPage.size)) AS sent
            JOIN perdure.inbox ON inbox.number = sent.number JOIN perdure.runs ON runs.number = inbox.run
        WHERE coalesce(earlier, 0) < \(InboxPage.size) ORDER BY sent.place, inbox.number
        """)

    /// The first pages of several different runs, of the first and of others as far as there is room.
    ///
    /// - Parameter give: gets each run that there was room for, with its page, when the answer has come.
    func readInboxes(of runs: [Int64], _ pipe: Pipeline, give: @escaping (Int64, InboxPage) -> Void) throws {
        try pipe.rows(Self.unreadOfEach, runs) { rows in
            var pages: [Int64: PageOfRows] = [:], sizes: [Int64: Int] = [:]
            for row in rows {
                let row = try InboxRow(row)
                _ = pages[row.run, default: PageOfRows()].add(row)
                sizes[row.run, default: 0] += row.delivery.payload?.count ?? 0
            }
            var size = 0
            for run in runs where size < InboxPage.size {
                give(run, pages[run]?.page ?? InboxPage(rows: [], hasMore: false))
                size += sizes[run] ?? 0
            }
        }
    }
}
