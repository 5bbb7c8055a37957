package import PerdureStore

extension SQLiteStore {
    package func audit() async throws(StoreError) -> [String] {
        try await read(on: browser) { session in
            // One view for all checks, or a commit between two of them would look like a disagreement.
            try session.read {
                try Audit.checks.flatMap { check in
                    try session.all(check) { row in
                        let problem = try row.text(0)
                        if let failure = Audit.failure(in: problem) { throw failure }
                        return problem
                    }
                }
            }
        }
    }
}
