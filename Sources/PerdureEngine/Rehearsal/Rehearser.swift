import Foundation
import Logging
import Perdure
import PerdureHistory
package import PerdureStore
import Synchronization

/// Feeds recorded histories to the code of this executable, one run after the other, as an engine would that takes them over. Nothing is
/// recorded, no step is started and no time passes, so it works beside the engine of the store, on a copy, or without any.
package final class Rehearser: Sendable {
    private let client: Client
    private let registry: WorkflowRegistry
    private let services: ActivationServices
    /// Processes that live, or nobody could tell a run that is under way from one whose owner has died.
    private let living: Set<NodeID>
    /// What the executable's runs would be recorded under.
    package let build: String

    /// - Throws: `PerdureError` for names that are invalid or registered twice.
    package init(_ client: Client, _ workflows: [RegisteredWorkflow], _ configuration: EngineConfiguration) async throws {
        self.client = client
        registry = try WorkflowRegistry(workflows)
        build = configuration.build ?? BuildFingerprint.current
        living = Set(try await client.livingNodes().map(\.id))
        services = Self.services(client.store, registry, build, configuration.clamped)
    }

    private static func services(
        _ store: any Store, _ registry: WorkflowRegistry, _ build: String, _ configuration: EngineConfiguration
    ) -> ActivationServices {
        let logger = Logger(label: "perdure") { _ in SwiftLogNoOpLogHandler() }
        let scheduler = Scheduler(clock: configuration.clock), metrics = EngineMetrics()
        return ActivationServices(
            store: store, journal: Journal(store: store, logger: logger) { _, _ in }, registry: registry,
            runtime: .threads, threads: EngineThreads(count: 1, name: "perdure-check"),
            watchdog: Watchdog(limit: configuration.watchdogLimit, now: { .now }) { _ in }, scheduler: scheduler,
            resources: Resources(
                [:], clock: configuration.clock, random: configuration.random, scheduler: scheduler, logger: logger,
                metrics: metrics),
            clock: configuration.clock, random: configuration.random, node: NodeID(rawValue: "rehearsal"), build: build,
            payloadLimit: configuration.payloadLimit, logger: logger, metrics: metrics, bodies: BodyCounter(),
            bodyExecutor: BodyExecutor(lends: false), bodyWatch: nil,
            recovery: Recovery(clock: configuration.clock, since: configuration.clock.now(), logger: logger, metrics: metrics),
            lead: Lead(.zero),
            inboxes: InboxLook(store: store, clock: configuration.clock, scheduler: scheduler, runtime: .threads, logger: logger),
            report: EventReport(logger: logger, metrics: metrics), observe: { _, _ in })
    }

    /// Ends the threads on which code is run.
    package func close() async { await services.threads.stop() }

    /// - Throws: `PerdureError` with the store's code.
    package func rehearse(_ record: RunRecord) async throws -> RunRehearsal {
        var rehearsal = RunRehearsal(record: record, verdict: .fits, uncleanEnds: [])
        guard record.state != .quarantined else {
            rehearsal.verdict = .unreadable(record.note ?? "The run is quarantined.")
            return rehearsal
        }
        try await client.guarded {
            do throws(HistoryReader.Failure) {
                try await rehearse(record, into: &rehearsal)
            } catch {
                switch error {
                case .broken(let message), .store(.unsupported(let message)): rehearsal.verdict = .unreadable(message)
                case .store(let error): throw error
                }
            }
        }
        return rehearsal
    }

    // MARK: One run

    private func rehearse(
        _ record: RunRecord, into rehearsal: inout RunRehearsal
    ) async throws(HistoryReader.Failure) {
        let workflow = registry.find(record.workflow, record.version)
        if workflow == nil { rehearsal.verdict = .noCode }
        let last = try await read { () async throws(StoreError) in
            try await client.store.events(of: record.number, before: .max, limit: 1).first
        }
        guard let last else { return }
        let patches = try await read { () async throws(StoreError) in
            try await client.store.marked(.versionPatched, nil, in: record.number)
        }
        let claim = ClaimedRun(record: record, previous: record.state, head: ChainHead(after: last), isTakeover: false)
        let resets = try await resets(of: record, end: claim.head)
        let code = workflow.map { workflow in
            Activation(
                claim, workflow: workflow, patches: patches.filter { !resets.passesOver($0.seq) }.map(\.subject), resets: resets,
                services: services, isOwned: false)
        }
        var reader = HistoryReader(client.store, record, end: claim.head), owner = "", fits = true
        while let page = try await reader.next() {
            // Fed up to each change of owner, to see what the code asks for at that place.
            for part in page.split(before: { $0.kind == .runResumed || $0.kind == .runStarted }) {
                if let first = part.first, let build = Self.build(of: first) {
                    if build.isUnclean, build.name != owner, !owner.isEmpty {
                        rehearsal.uncleanEnds.append(
                            .init(
                                seq: first.seq, at: first.at, build: owner, heir: build.name,
                                asked: fits ? code?.openSteps ?? [] : []))
                    }
                    owner = build.name
                }
                if fits, let code { fits = await feed(Array(part), to: code) }
            }
        }
        if let code {
            if fits { fits = !code.isStalled }
            if !fits { rehearsal.verdict = .blocks(code.failure ?? Self.stall) }
        }
        if record.state == .running, record.owner.map({ !living.contains($0) }) ?? false, owner != build {
            rehearsal.uncleanEnds.append(
                .init(seq: nil, at: nil, build: owner, heir: build, asked: fits ? code?.openSteps ?? [] : []))
        }
        if let code { await leave(code) }
    }

    /// What the code is not told, which it has to know before the first event.
    private func resets(of record: RunRecord, end: ChainHead) async throws(HistoryReader.Failure) -> [ResetSpan] {
        var reader = HistoryReader(client.store, record, end: end), standing = RunStanding()
        while let page = try await reader.next() {
            for event in page { standing.add(event) }
        }
        return standing.resets
    }

    private func read<T>(_ body: () async throws(StoreError) -> T) async throws(HistoryReader.Failure) -> T {
        do throws(StoreError) {
            return try await body()
        } catch {
            throw .store(error)
        }
    }

    private func feed(_ events: [Event], to code: Activation) async -> Bool {
        let receipt = Receipt()
        code.post(.history(events, receipt))
        return await receipt.value
    }

    /// Takes the code out of memory before the next run's turn: what it still does then counts for nothing, but takes time.
    private func leave(_ code: Activation) async {
        code.post(.leave)
        // Mail is read in its order.
        _ = await feed([], to: code)
    }

    private static func build(of event: Event) -> (name: String, isUnclean: Bool)? {
        guard event.kind == .runResumed || event.kind == .runStarted, let attributes = try? event.attributes.object() else {
            return nil
        }
        guard let name = attributes["build"]?.stringValue else { return nil }
        return (name, attributes["clean"]?.boolValue == false)
    }

    private static let stall = Divergence(
        .foreignWait, subject: "",
        message: "At the end of its history the workflow waits, but for nothing that is recorded, so nothing could ever wake it.")
}

extension Activation {
    /// Why the code cannot go on, if it cannot.
    var failure: Divergence? { state.withLock { $0.failure } }
    var isStalled: Bool { state.withLock { $0.machine.isStalled } }
    /// Steps that the code has asked for and that are not over, in their order, but for reads.
    var openSteps: [String] { state.withLock { $0.machine.openSteps } }
}

extension RunMachine {
    fileprivate var openSteps: [String] {
        steps.keys.sorted().compactMap { steps[$0] }.filter { !$0.isRead }.map(\.request.subject)
    }
}

extension Array {
    /// The array in parts, each but the first beginning with an element that fits.
    fileprivate func split(before isFirst: (Element) -> Bool) -> [ArraySlice<Element>] {
        var parts: [ArraySlice<Element>] = [], start = startIndex
        for index in indices.dropFirst() where isFirst(self[index]) {
            parts.append(self[start..<index])
            start = index
        }
        if start < endIndex { parts.append(self[start...]) }
        return parts
    }
}
