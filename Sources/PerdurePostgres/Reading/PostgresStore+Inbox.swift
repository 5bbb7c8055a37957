package import PerdureStore

extension PostgresStore {
    private static let interventionKinds = InboxKind.allCases.filter { $0.needsNoCode || $0 == .retry }
        .map { "'\($0.rawValue)'" }.joined(separator: ", ")
    private static let interventions = SQL(
        """
        SELECT \(InboxRow.columns) FROM perdure.inbox JOIN perdure.runs ON runs.number = inbox.run
        WHERE inbox.run = $1::bigint AND NOT inbox.consumed AND inbox.kind IN (\(interventionKinds))
        ORDER BY inbox.number LIMIT \(InboxPage.limit)
        """)
    /// Asked before a look: what is numbered after it is found by the next one. Beside it, how many unread messages there are, up to a
    /// limit.
    private static let arrived = SQL(
        """
        SELECT last_value, (SELECT count(*) FROM (
            SELECT 1 FROM perdure.inbox WHERE NOT consumed AND number > $1::bigint LIMIT $2::bigint) AS few)
        FROM perdure.inbox_numbers
        """)
    /// From the messages to their runs. Not a join, which may begin at the runs: of a busy node there are thousands.
    static let owned = page(
        """
        SELECT * FROM perdure.inbox
        WHERE NOT consumed AND number > $2::bigint AND (SELECT owner FROM perdure.runs WHERE runs.number = inbox.run) = $1::text
        """)
    /// From the runs to their messages: those that nobody may take in now can be many, and the owned runs are fewer then.
    private static let ownedRunByRun = page(
        """
        SELECT inbox.* FROM perdure.runs CROSS JOIN LATERAL (
            SELECT * FROM perdure.inbox WHERE run = runs.number AND NOT consumed AND number > $2::bigint OFFSET 0) AS inbox
        WHERE runs.owner = $1::text
        """)
    private static let fewMessages = 1_000

    /// Those that the node was told of are left out, and so is what a page has no room for but for its first row.
    private static func page(_ messages: String) -> SQL {
        SQL(
            """
            SELECT \(InboxRow.columns) FROM (
                SELECT *, sum(coalesce(octet_length(payload), 0))
                    OVER (ORDER BY number ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS before
                FROM (\(messages)) AS inbox
                WHERE number > $3::bigint
                    OR NOT EXISTS (SELECT 1 FROM unnest($4::bigint[]) AS told (number) WHERE told.number = inbox.number)
                ORDER BY number LIMIT $5::bigint) AS inbox
                JOIN perdure.runs ON runs.number = inbox.run
            WHERE coalesce(before, 0) < \(InboxPage.size) ORDER BY inbox.number
            """)
    }

    package func inbox(run: Int64, after number: Int64) async throws(StoreError) -> InboxPage {
        try await read(on: reader) { try $0.inbox(of: run, after: number) }
    }

    package func inboxes(of runs: [Int64]) async throws(StoreError) -> [Int64: InboxPage] {
        try await read(on: reader) { session in
            var inboxes: [Int64: InboxPage] = [:]
            try session.pipeline { pipe in try session.readInboxes(of: runs, pipe) { inboxes[$0] = $1 } }
            return inboxes
        }
    }

    package func interventions(run: Int64) async throws(StoreError) -> [InboxRow] {
        try await read(on: reader) { session in
            var page = PageOfRows()
            for row in try session.all(Self.interventions, run, row: { try InboxRow($0) }) { _ = page.add(row) }
            return page.page.rows
        }
    }

    package func inbox(ownedBy node: NodeID, after number: Int64, limit: Int) async throws(StoreError) -> InboxPage {
        let arrivals = arrivals
        return try await read(on: reader) { session in
            let least = arrivals.floor(for: node, after: number)
            let (last, unread) =
                try session.first(Self.arrived, least, Self.fewMessages) { (try $0.integer(0), try $0.integer(1)) } ?? (0, 0)
            let (floor, told) = arrivals.beginLook(for: node, after: number, last: last)
            var page = PageOfRows(limit: limit)
            let messages = unread < Self.fewMessages ? Self.owned : Self.ownedRunByRun
            let rows = try session.all(messages, node, floor, number, told, max(0, limit) + 1) { try InboxRow($0) }
            for row in rows { if !page.add(row) { break } }
            arrivals.note(page.page.rows)
            return page.page
        }
    }
}
