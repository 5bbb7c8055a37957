package import Perdure
package import PerdureStore

// A store of which something cannot be read: what is beside it is to be seen all the same.
extension Client {
    /// The newest runs that fit, and what is to be said of rows that cannot be read. Those cannot be looked for, so that each that is
    /// met counts as one that fits. Only a damaged store is gone through row by row.
    package func readable(_ filter: RunFilter) async throws -> (runs: [RunRecord], problems: [String]) {
        do {
            return (try await guarded { try await store.runs(filter) }, [])
        } catch let error as PerdureError where error.isAboutOneHistory {
            return try await readableOneByOne(filter)
        }
    }

    private func readableOneByOne(_ filter: RunFilter) async throws -> (runs: [RunRecord], problems: [String]) {
        var runs: [RunRecord] = [], problems: [String] = [], before = filter.before
        while true {
            let numbers = try await guarded { try await store.runNumbers(before: before, limit: 200) }
            for number in numbers {
                if runs.count >= filter.limit { return (runs, problems) }
                do {
                    guard let run = try await guarded({ try await store.run(number: number) }) else { continue }
                    if try await fits(run, filter) { runs.append(run) }
                } catch let error as PerdureError where error.isAboutOneHistory {
                    problems.append(error.message)
                }
            }
            guard let last = numbers.last else { return (runs, problems) }
            before = last
        }
    }

    private func fits(_ run: RunRecord, _ filter: RunFilter) async throws -> Bool {
        guard filter.states.isEmpty || filter.states.contains(run.state), filter.namespace.map({ $0 == run.namespace }) ?? true,
            filter.workflow.map({ $0 == run.workflow }) ?? true, filter.version.map({ $0 == run.version }) ?? true
        else { return false }
        guard !filter.labels.isEmpty else { return true }
        let labels = try await guarded { try await store.labels(of: [run.number])[run.number] } ?? [:]
        return filter.labels.allSatisfy { labels[$0.key] == $0.value }
    }
}

extension PerdureError {
    /// Whether one run cannot be read, of which the others know nothing.
    package var isAboutOneHistory: Bool { code == .storeCorrupt || code == .storeTooNew }
}
