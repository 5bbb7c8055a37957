import Foundation
import Perdure

/// Reads from the file, beside the engine, whether the measured work was really done.
enum Verification {
    /// Every run of the workflow has completed, and its history has exactly so many steps, each of which ran once.
    static func completed<W: Workflow>(_ path: String, _ type: W.Type, runs: Int, steps: Int, executed: Int? = nil) throws {
        let file = try PlainDatabase(path, readOnly: true)
        // What only warms up has negative numbers, which no measured run has.
        let measured = "workflow = ?1 AND number NOT IN (SELECT run FROM events WHERE seq = 1 AND input LIKE '%\"run\":-%')"
        let completed = try file.prepare("SELECT count(*) FROM runs WHERE state = 'completed' AND \(measured)").integer(
            .text(W.name))
        let recorded = try file.prepare(
            "SELECT count(*) FROM events WHERE kind = 'step.succeeded' AND run IN (SELECT number FROM runs WHERE \(measured))"
        ).integer(.text(W.name))
        try BenchError.check(completed == runs, "\(completed) of \(runs) runs of \(W.name) have completed")
        try BenchError.check(recorded == steps, "\(recorded) of \(steps) steps of \(W.name) are recorded")
        if let executed {
            try BenchError.check(executed == steps, "\(executed) bodies of \(steps) steps of \(W.name) were executed")
        }
    }
}
