#if PERDURE_MUTANTS
    import Foundation
    import PerdureHistory
    import PerdureProcess

    /// One mutant, and the detectors that pass its place.
    struct MutantTrial: Sendable {
        let mutant: String
        let detectors: [Int]
        /// In seconds.
        let patience: Int

        enum Outcome: Sendable {
            case found
            /// Its process had to be killed, or died.
            case hung, died
            case survived
        }

        struct End: Sendable {
            var mutant: String
            var outcome: Outcome
            var what: String
            var finding: String?
            var seconds = 0.0

            var isFound: Bool { outcome != .survived }
        }

        func run() async throws -> End {
            let begin = ContinuousClock.now
            var end = detectors.isEmpty ? unseen : try await looked()
            end.seconds = begin.duration(to: .now) / .seconds(1)
            return end
        }

        private var unseen: End { End(mutant: mutant, outcome: .survived, what: "no detector passes its place") }

        private func looked() async throws -> End {
            let process = try LineProcess(
                executable: LineProcess.ownExecutable,
                ["mutants", "--detectors", detectors.map(String.init).joined(separator: ",")],
                variables: [Mutant.variable: mutant], isHeard: false)
            let patience = Task { [patience] in
                try await Task.sleep(for: .seconds(patience))
                process.kill()
                return true
            }
            var found: Detector.Catch?
            for await line in process.lines {
                if let finding = try? JSONDecoder().decode(Detector.Catch.self, from: line) { found = finding }
            }
            let status = await process.wait()
            patience.cancel()
            let wasKilled = (try? await patience.value) ?? false
            if let found {
                let first =
                    found.finding.split(separator: "\n").first(where: { $0.hasPrefix("- ") })
                    ?? found.finding.prefix { $0 != "\n" }
                return End(
                    mutant: mutant, outcome: .found, what: "\(found.detector): \(first.prefix(140))", finding: found.finding)
            }
            if wasKilled { return End(mutant: mutant, outcome: .hung, what: "hung, and was killed") }
            // The command line was not understood, so nothing was looked at: that says nothing of the mutant.
            if status == EX_USAGE { return End(mutant: mutant, outcome: .survived, what: "its process was called wrongly") }
            if status != 0 { return End(mutant: mutant, outcome: .died, what: "its process died with status \(status)") }
            return End(mutant: mutant, outcome: .survived, what: "\(detectors.count) detectors pass its place and find nothing")
        }
    }
#endif
