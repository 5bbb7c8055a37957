#if PERDURE_MUTANTS
    import PerdureEngine

    /// The faults that can be switched on, by the names that stand at their places in the engine.
    enum MutantList {
        /// Each has a place of its own.
        static let seeded = [
            "skip an intent", "acknowledge before the commit", "forget a fence", "another key for each attempt",
            "one key for two steps", "drop a delivery", "deliver twice", "unwind in the wrong order",
            "ignore the digest of a decision", "ignore the digest of a key's input", "lose a timer", "replay a wrong result",
            "forget what was under way", "believe a probe too early", "take no business key",
        ]

        /// One for each transition of the run machine: it is not taken.
        static let transitions =
            StepTransition.all.map { "step: \($0)" } + ChildTransition.all.map { "child: \($0)" }

        static let all = seeded + transitions
    }
#endif
