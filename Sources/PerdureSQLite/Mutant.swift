#if !PERDURE_MUTANTS
    /// No build but that of `make mutants` can be broken: the optimiser takes away every place, and its name with it.
    enum Mutant {
        static func isOn(_ name: @autoclosure () -> String) -> Bool { false }
    }
#endif
