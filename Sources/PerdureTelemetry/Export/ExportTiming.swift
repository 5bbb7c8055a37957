/// Time and chance of an exporter.
package struct ExportTiming: Sendable {
    /// The time since some beginning; it never goes back.
    package var elapsed: @Sendable () -> Duration
    package var sleep: @Sendable (Duration) async throws -> Void
    /// From 0 to 1.
    package var chance: @Sendable () -> Double

    package init(
        elapsed: @escaping @Sendable () -> Duration, sleep: @escaping @Sendable (Duration) async throws -> Void,
        chance: @escaping @Sendable () -> Double
    ) {
        self.elapsed = elapsed
        self.sleep = sleep
        self.chance = chance
    }

    /// Those of this machine.
    package static var real: ExportTiming {
        let clock = ContinuousClock(), begin = clock.now
        return ExportTiming(
            elapsed: { begin.duration(to: clock.now) }, sleep: { try await clock.sleep(for: $0) },
            chance: { Double.random(in: 0...1) })
    }
}
