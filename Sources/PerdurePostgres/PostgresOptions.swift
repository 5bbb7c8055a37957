package import Logging
package import PerdureHistory

/// What a test or an embedding layer may set about a store on PostgreSQL.
package struct PostgresOptions: Sendable {
    /// Stamps events and deliveries, and measures leases; nil for the server's clock.
    package var clock: (@Sendable () -> Timestamp)?
    /// How long a node counts as alive without a renewal.
    package var leaseLength: Duration = .seconds(15)
    /// How often it is looked for messages of other nodes when the server does not tell of them.
    package var bellInterval: Duration = .seconds(1)
    /// How long the server may be silent while an answer is waited for. A commit in the middle of which it is silent for longer is given up
    /// without knowing its outcome, and repeated.
    package var answerLimit: Duration = .seconds(30)
    /// How long the work of a step may take that is done in a transaction.
    package var transactionLimit: Duration = .seconds(10)
    /// How many such transactions go on at the same time, at least 1. Each has a connection, which is made when it is needed.
    package var transactors = 4
    package var logger: Logger

    package init(logger: Logger = Logger(label: "perdure.postgres")) { self.logger = logger }

    /// The process's own clock, which nobody sets.
    var here: Timestamp { clock?() ?? Timestamp.epoch + MachineClock.sinceStart }
}

/// A clock of this machine that nobody sets, and that counts suspended time.
private enum MachineClock {
    private static let start = ContinuousClock.now
    static var sinceStart: Duration { ContinuousClock.now - start }
}
