/// What one process does at a time, or what several do that keeps one from doing it: by numbers that mean the same in every release, in the
/// database of the store.
enum AdvisoryLock: Int64 {
    case migration = 5_782_996_250_318_267_221
    case retentionIndexes = 5_782_996_250_318_267_222
    /// Saying that history went back, and marking runs; shared by every commit that makes runs.
    case restorations = 5_782_996_250_318_267_223
    /// Setting quotas, with the triggers that count.
    case quotas = 5_782_996_250_318_267_224

    /// Waits, and has it until the transaction ends.
    var take: SQL { SQL("SELECT pg_advisory_xact_lock(\(rawValue))") }
    /// The same beside others that share it.
    var share: SQL { SQL("SELECT pg_advisory_xact_lock_shared(\(rawValue))") }
    /// Has it until the connection ends, and gives a row, if nobody else has it.
    var tryForConnection: SQL { SQL("SELECT 1 WHERE pg_try_advisory_lock(\(rawValue))") }
}
