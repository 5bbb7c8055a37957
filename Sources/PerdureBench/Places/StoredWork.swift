/// Reads from a store, beside the engine, what was really done.
///
/// What only warms up has negative numbers, which no measured run has, and is not counted where a workflow is asked for.
protocol StoredWork {
    /// By the state alone, which an index answers: looking must not cost what is measured.
    func runs(in state: String) throws -> Int
    func openRuns() throws -> Int
    /// The completed runs of a workflow.
    func completed(_ workflow: String) throws -> Int
    /// The steps that are recorded in runs of a workflow.
    func succeeded(_ workflow: String) throws -> Int
    /// Every step that is recorded, in all runs.
    func succeededSteps() throws -> Set<StepPlace>
    /// When each run's timer was due, in microseconds since 1970.
    func timersDue() throws -> [(run: Int, due: Double)]
    /// What the tables and their indexes take, once everything is where it belongs.
    func bytesOnDisk() throws -> Int
    /// Takes the end of a workflow's runs back, so that they look as if they had none.
    func reopen(_ workflow: String) throws
}

extension StoredWork {
    /// Every run of the workflow has completed, and its history has exactly so many steps, each of which ran once.
    func check(_ workflow: String, runs: Int, steps: Int, executed: Int? = nil) throws {
        let completed = try completed(workflow), recorded = try succeeded(workflow)
        try BenchError.check(completed == runs, "\(completed) of \(runs) runs of \(workflow) have completed")
        try BenchError.check(recorded == steps, "\(recorded) of \(steps) steps of \(workflow) are recorded")
        if let executed {
            try BenchError.check(executed == steps, "\(executed) bodies of \(steps) steps of \(workflow) were executed")
        }
    }
}
