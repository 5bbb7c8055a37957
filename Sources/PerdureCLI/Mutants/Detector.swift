#if PERDURE_MUTANTS
    import Foundation
    import PerdureHistory

    /// Something that has to find the faults: a place of the tour with its crash matrix.
    struct Detector: Sendable {
        let name: String
        /// What is wrong, first things first.
        let look: @Sendable () async throws -> [String]

        static let all: [Detector] = TourStop.all.map { stop in
            Detector(name: "matrix of '\(stop.place.rawValue)'") { try await stop.look() }
        }

        /// What a detector said of the engine as it is.
        struct Reading: Codable {
            var detector: String
            var seconds: Double
            /// The names of the places that were passed.
            var passed: [String]
            var findings: [String]
        }

        /// Which detector has found a mutant, and what.
        struct Catch: Codable {
            var detector: String
            var finding: String
        }

        /// Looks at the engine as it is.
        func read() async throws -> Reading {
            _ = Mutant.takePassed()
            let begin = ContinuousClock.now
            let findings = try await look()
            let seconds = begin.duration(to: .now) / .seconds(1)
            return Reading(detector: name, seconds: seconds, passed: Mutant.takePassed().sorted(), findings: findings)
        }
    }
#endif
