package import PerdureStore

extension PostgresStore {
    package func audit() async throws(StoreError) -> [String] {
        try await read(on: browser) { session in
            // One view for all checks, or a commit between two of them would look like a disagreement.
            try session.snapshot {
                try Audit.checks.flatMap { check in try session.all(check) { try $0.text(0) } } + Self.scheduleBreaches(session)
                    + Self.namespaceBreaches(session) + Self.quotaBreaches(session)
            }
        }
    }
}
