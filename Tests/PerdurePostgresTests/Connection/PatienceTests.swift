import Testing

@testable import PerdurePostgres

/// How long a server is waited for.
struct PatienceTests {
    @Test func `whoever waits for a sign of life waits anew after each`() {
        let begin = ContinuousClock.now
        var patience = Patience(silence: .seconds(60), now: begin)
        patience.noteProgress(now: begin + .seconds(5))
        #expect(patience.end == begin + .seconds(65))
    }

    @Test func `whoever has so much time for all of it has no more after a sign of life`() {
        let end = ContinuousClock.now + .seconds(60)
        var patience = Patience(until: end)
        patience.noteProgress()
        #expect(patience.end == end)
    }
}
