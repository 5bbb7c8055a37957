import Perdure
import PerdureHistory
import Testing

@testable import PerdureServer

@Suite struct HealthReportTests {
    private static let now = Timestamp(microseconds: 1_000_000_000_000)

    /// A process whose store has just answered, but for what the body changes.
    private func report(_ change: (inout HealthBoard.State) -> Void = { _ in }) throws -> HealthReport {
        let configuration = try ServeConfiguration(
            try Settings(flags: ["store": "postgres://app:hush@db/perdure"], variables: [:]))
        var state = HealthBoard.State()
        state.phase = .serving
        state.store.answeredAt = Self.now
        change(&state)
        return HealthReport(state, configuration, since: Self.now, now: Self.now)
    }

    @Test func `a process whose store answers is ready, and tells no password`() throws {
        let report = try report()
        #expect(report.status == .ok && report.obstacle == nil && report.readiness["ready"] == true)
        #expect(report.details["store"]?["place"] == "postgres://app@db/perdure")
        #expect(!report.details.canonicalText.contains("hush"))
    }

    @Test func `a store that has not been opened, fails, or is silent for too long keeps the process from being ready`() throws {
        let changes: [(inout HealthBoard.State) -> Void] = [
            { $0.phase = .opening }, { $0.phase = .ending }, { $0.store.problem = "gone" }, { $0.store.answeredAt = nil },
            { $0.store.answeredAt = Self.now - HealthReport.silence - .seconds(1) },
        ]
        for change in changes {
            let report = try report(change)
            #expect(report.status == .unavailable && report.readiness["ready"] == false)
            #expect(report.readiness["reason"]?.stringValue?.isEmpty == false)
        }
        #expect(try report { $0.store.answeredAt = Self.now - HealthReport.silence }.obstacle == nil)
    }

    @Test func `what somebody should look at degrades it, and leaves it ready`() throws {
        let changes: [(inout HealthBoard.State) -> Void] = [
            { $0.quarantined = 1 }, { $0.store.schedulesLate = .seconds(61) }, { $0.store.clockDifference = .seconds(-6) },
        ]
        for change in changes {
            let report = try report(change)
            #expect(report.status == .degraded && report.obstacle == nil && report.complaints.count == 1)
        }
        #expect(try report { $0.store.schedulesLate = .seconds(60) }.status == .ok)
        #expect(try report { $0.store.clockDifference = .seconds(5) }.status == .ok)
    }
}
