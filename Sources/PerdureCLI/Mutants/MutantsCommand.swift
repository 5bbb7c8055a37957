#if PERDURE_MUTANTS
    import ArgumentParser
    import Foundation
    import PerdureHistory
    import PerdureProcess

    /// Breaks the engine in one way after the other, and looks whether the crash matrix finds it.
    struct MutantsCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "mutants", abstract: "Breaks the engine in one way after the other, and sees whether that is found.",
            discussion: """
                First every detector looks at the engine as it is, which has to be sound, and learns which mutants' places it passes. \
                Each mutant then has a process of its own, in which the detectors that pass its place look one after the other, the \
                fastest first, until one of them finds something. Exit code 1 if a mutant survives.
                """)

        @Option(help: "Only mutants whose names contain this.") var only: String?
        @Option(help: "How long a mutant may take until it counts as hung, in seconds.") var patience = 300
        @Flag(help: "Print the findings too.") var verbose = false
        @Option(help: ArgumentHelp("Look with these detectors, by their numbers.", visibility: .hidden)) var detectors: String?

        func run() async throws {
            if let detectors { return try await detect(detectors.split(separator: ",").compactMap { Int($0) }) }
            let readings = try await readings()
            let unsound = readings.filter { !$0.findings.isEmpty }
            for reading in unsound { print("\(reading.detector) finds this without any mutant:\n\(reading.findings[0])") }
            guard unsound.isEmpty else { throw ExitCode(1) }
            let trials = MutantList.all.filter { name in only.map { name.contains($0) } ?? true }.map { name in
                MutantTrial(mutant: name, detectors: Self.detectors(of: name, readings), patience: patience)
            }
            let begin = ContinuousClock.now, ends = try await ends(of: trials)
            let survivors = ends.filter { !$0.isFound }
            for end in survivors { print("SURVIVED: \(end.mutant): \(end.what)") }
            let seconds = Int(begin.duration(to: .now) / .seconds(1)), hung = ends.count { $0.outcome == .hung }
            print(
                "{\"mutants\":\(ends.count),\"found\":\(ends.count - survivors.count),\"hung\":\(hung),\"detectors\":\(readings.count),"
                    + "\"seconds\":\(seconds)}")
            print("mutants found: \(ends.count - survivors.count) of \(ends.count)")
            if !survivors.isEmpty { throw ExitCode(1) }
        }

        // MARK: In the process of one mutant

        private func detect(_ numbers: [Int]) async throws {
            for number in numbers where Detector.all.indices.contains(number) {
                let detector = Detector.all[number]
                if Mutant.active == nil {
                    print(try Self.line(try await detector.read()))
                } else if let finding = try await detector.look().first {
                    return print(try Self.line(Detector.Catch(detector: detector.name, finding: finding)))
                }
            }
        }

        private static func line(_ value: some Encodable) throws -> String {
            String(decoding: try JSONEncoder().encode(value), as: UTF8.self)
        }

        // MARK: In the first process

        /// What each detector says of the engine as it is.
        private func readings() async throws -> [Detector.Reading] {
            let process = try LineProcess(
                executable: LineProcess.ownExecutable,
                ["mutants", "--detectors", Detector.all.indices.map(String.init).joined(separator: ",")])
            var readings: [Detector.Reading] = []
            for await line in process.lines {
                let reading = try JSONDecoder().decode(Detector.Reading.self, from: line)
                readings.append(reading)
                print(
                    "\(Self.padded(reading.detector, 40)) \(Self.seconds(reading.seconds))  passes \(reading.passed.count) places"
                )
            }
            guard await process.wait() == 0, readings.count == Detector.all.count else {
                print("The detectors did not come to their end.")
                throw ExitCode(1)
            }
            return readings
        }

        /// Those that pass its place, the fastest first.
        private static func detectors(of mutant: String, _ readings: [Detector.Reading]) -> [Int] {
            readings.indices.filter { readings[$0].passed.contains(mutant) }.sorted {
                readings[$0].seconds < readings[$1].seconds
            }
        }

        /// Each process has a thread for each trial of a matrix, so a few are enough.
        private func ends(of trials: [MutantTrial]) async throws -> [MutantTrial.End] {
            try await withThrowingTaskGroup(of: (Int, MutantTrial.End).self) { group in
                var ends: [MutantTrial.End?] = Array(repeating: nil, count: trials.count), next = 0
                func begin() {
                    guard next < trials.count else { return }
                    let index = next
                    next += 1
                    group.addTask { (index, try await trials[index].run()) }
                }
                for _ in 0..<2 { begin() }
                while let (index, end) = try await group.next() {
                    ends[index] = end
                    printAtOnce("\(Self.padded(end.mutant, 40)) \(Self.seconds(end.seconds))  \(end.what)")
                    if verbose, let finding = end.finding {
                        print("    " + finding.split(separator: "\n").joined(separator: "\n    "))
                    }
                    begin()
                }
                return ends.compactMap(\.self)
            }
        }

        private static func padded(_ text: String, _ width: Int) -> String {
            text.padding(toLength: max(width, text.count), withPad: " ", startingAt: 0)
        }

        private static func seconds(_ seconds: Double) -> String {
            let text = "\((seconds * 10).rounded() / 10) s"
            return String(repeating: " ", count: max(0, 8 - text.count)) + text
        }
    }
#endif
