package import PerdureStore

extension SQLiteStore {
    package func audit() async throws(StoreError) -> [String] {
        try await read(on: browser) { session in
            // One view for all checks, or a commit between two of them would look like a disagreement.
            try session.read {
                try Audit.checks.flatMap { check in
                    try session.all(check) { row in
                        // It quotes what is in the file, which may be anything.
                        let problem =
                            row.isNull(0) ? Audit.nameless : try row.withBytes(0) { String(decoding: $0, as: UTF8.self) }.legible
                        if let failure = Audit.failure(in: problem) { throw failure }
                        return problem
                    }
                } + Self.scheduleBreaches(session) + Self.namespaceBreaches(session) + Self.quotaBreaches(session)
            }
        }
    }
}
