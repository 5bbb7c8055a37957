import ArgumentParser

/// The tour with its crash matrix, place by place.
struct TourCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tour", abstract: "Interrupts workflows that take every transition of the run machine at every checkpoint.",
        shouldDisplay: false)

    @Argument(help: "Places. Default: all.") var places: [TourPlace] = TourPlace.stops

    func run() async throws {
        var isGood = true
        for stop in TourStop.all where places.contains(stop.place) {
            let findings = try await stop.look()
            isGood = isGood && findings.isEmpty
            print(findings.isEmpty ? "✓ \(stop.place.rawValue)" : "✗ \(stop.place.rawValue)\n\(findings.joined(separator: "\n"))")
        }
        if !isGood { throw ExitCode(1) }
    }
}

extension TourPlace: ExpressibleByArgument {}
