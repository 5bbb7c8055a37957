#if PERDURE_MUTANTS
    import Foundation
    import Synchronization
#endif

/// Faults that are put into the engine on purpose, to see that the crash matrix and the simulation find them.
///
/// `make mutants` builds with `PERDURE_MUTANTS` and switches on one after the other, by its name in the environment. In every other build
/// each place where a fault could be is a constant `false`, which the optimiser takes away together with the name.
package enum Mutant {
    #if PERDURE_MUTANTS
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
    #else
        @inlinable package static func isOn(_ name: @autoclosure () -> String) -> Bool { false }
    #endif
}
