import Foundation
import PerdureHistory

/// How an engine runs. The defaults suit a service that embeds it. Values outside a property's range are moved to its nearest end when an
/// engine is made.
public struct EngineConfiguration: Sendable {
    /// The namespace of the runs started here: 1 to 128 letters, digits, `-`, `_` and `.`. Default: `default`.
    public var namespace = "default"
    /// Threads that run workflow code. At least 1. Default: one for each core.
    public var threads = max(1, ProcessInfo.processInfo.activeProcessorCount)
    /// How many runs that only wait are kept in memory, ready to go on. At least 0. Default: 1,000.
    public var cachedRuns = 1_000
    /// How many runs may be taken on before others have come to rest. At least 1. Default: 2,000.
    public var activeRuns = 2_000
    /// The largest input or output in bytes. At least 1. Default: 8 MiB.
    public var payloadLimit = Payload.defaultLimit
    /// How long `run()` waits at a graceful shutdown for steps that are being executed. At least zero. Default: 30 s.
    public var shutdownGrace: Duration = .seconds(30)
    /// How long workflow code may compute between two waits before a warning names it. At least zero. Default: 5 s.
    public var watchdogLimit: Duration = .seconds(5)
    /// How often a run may take its process down, without progress in between, before it is parked. At least 1. Default: 3.
    public var poisonLimit = 3
    /// What is allowed for each other side that steps name as their `StepPolicy.resource`. One that is not here has
    /// `ResourceLimits()`: no limits but a circuit. Default: empty.
    public var resources: [String: ResourceLimits] = [:]
    /// How long the history of a run is kept after it has closed. Then its events and values are removed, and a tombstone stays. A run with
    /// a step in doubt or an open child is kept. What is set for a namespace in the store holds in its place. Default: nil, which keeps
    /// histories for ever: they are the evidence.
    public var retention: Duration?
    /// How long a tombstone is kept after its run has expired; the workflow key is taken until then. Default: nil, for ever.
    public var tombstoneRetention: Duration?
    /// Where histories are put before they are removed, for namespaces that are archived. Without it runs of these do not expire through
    /// this engine. Default: nil.
    public var archive: HistoryArchive?
    /// How many events a second are read in the background to verify histories, open and closed ones, one run after the other. 0 turns
    /// that off. Default: 1,000.
    public var verificationRate = 1_000
    /// What tells two builds of the executable apart. Default: a digest of the executable.
    public var build: String?

    /// Whether it is looked for what has expired, once a minute, also where this configuration has no retention: something may be set for a
    /// namespace in the store.
    package var keepsRetention = true
    /// How many events of a history are read at once.
    package var historyPage = 1_000
    /// How long before it is due a run is brought into memory, and kept there rather than given up.
    package var lead: Duration = .milliseconds(100)
    package var runtime: EngineRuntime = .threads
    package var clock: any EngineClock = SystemClock()
    package var random: @Sendable () -> UInt64 = { .random(in: .min ... .max) }
    package var bodyWatch: (any BodyWatch)?
    package var duty = EngineDuty.host
    /// What the machine is called where nodes are listed. Default: its own name.
    package var nodeName: String?
    /// The namespaces whose schedules are kept and whose histories are verified. Default: nil, all.
    package var namespaces: Set<String>?
    /// In which time every history is verified once, as far as the rate allows. Default: nil, one round after the other.
    package var verificationRound: Duration?

    /// The defaults; change what should differ.
    public init() {}

    /// What it verifies if it shares that with others; nil if it does it alone, or not at all.
    package var sharedVerification: String? {
        guard duty == .keeper, verificationRate > 0, let verificationRound else { return nil }
        // No namespace has a blank in its name.
        let places = namespaces.map { $0.sorted().joined(separator: " ") } ?? "*"
        return "\(verificationRound / .microseconds(1)) \(places)"
    }

    package func serves(_ namespace: String) -> Bool { namespaces?.contains(namespace) ?? true }

    /// The same with every value inside of its range.
    package var clamped: EngineConfiguration {
        var clamped = self
        clamped.threads = max(1, threads)
        clamped.cachedRuns = max(0, cachedRuns)
        clamped.activeRuns = max(1, activeRuns)
        clamped.payloadLimit = max(1, payloadLimit)
        clamped.shutdownGrace = max(.zero, shutdownGrace)
        clamped.watchdogLimit = max(.zero, watchdogLimit)
        clamped.poisonLimit = max(1, poisonLimit)
        clamped.retention = retention.map { max(.zero, $0) }
        clamped.tombstoneRetention = tombstoneRetention.map { max(.zero, $0) }
        clamped.verificationRate = max(0, verificationRate)
        clamped.historyPage = max(1, historyPage)
        return clamped
    }
}

/// What an engine is for.
package enum EngineDuty: Sendable, Hashable {
    case host
    /// Schedules, retention, verification, and messages that need no code; it hosts nothing. Where several nodes share the store it is one
    /// of them.
    case keeper
    /// The same beside whoever may hold an embedded store, whose lock it leaves alone: schedules and verification.
    case visitor
}
