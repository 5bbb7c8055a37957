#if PERDURE_MUTANTS
    import Foundation
    import Synchronization

    /// Faults that are put into the engine on purpose, to see that the crash matrix finds them.
    ///
    /// `make mutants` builds with `PERDURE_MUTANTS` and switches on one after the other, by its name in the environment. In every other
    /// build each target has a `Mutant` of its own, for which nothing is ever on: the optimiser takes away every place, and its name with
    /// it.
    package enum Mutant {
        /// The environment variable that names the fault of this process.
        package static let variable = "PERDURE_MUTANT"
        package static let active = ProcessInfo.processInfo.environment[variable]

        private static let passed = Mutex<Set<String>>([])

        /// The places that were passed since this was last asked.
        package static func takePassed() -> Set<String> {
            passed.withLock { passed in
                defer { passed = [] }
                return passed
            }
        }

        package static func isOn(_ name: @autoclosure () -> String) -> Bool {
            guard let active else {
                let name = name()
                passed.withLock { _ = $0.insert(name) }
                return false
            }
            return active == name()
        }
    }
#endif
