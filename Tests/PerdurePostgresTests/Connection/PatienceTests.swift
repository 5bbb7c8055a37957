import Testing

@testable import PerdurePostgres

/// How long a server is waited for.
struct PatienceTests {
    @Test func `whoever waits for a sign of life waits anew after each`() {
        var patience = Patience(silence: .seconds(60))
        let before = patience.end
        patience.noteProgress()
        #expect(patience.end > before)
    }

    @Test func `whoever has so much time for all of it has no more after a sign of life`() {
        let end = ContinuousClock.now + .seconds(60)
        var patience = Patience(until: end)
        patience.noteProgress()
        #expect(patience.end == end)
    }
}
