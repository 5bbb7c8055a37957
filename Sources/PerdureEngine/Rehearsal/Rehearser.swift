import Foundation
import Logging
import Perdure
import PerdureHistory
package import PerdureStore
import Synchronization

/// Feeds recorded histories to the code of this executable, one run after the other, as an engine would that takes them over. Nothing is
/// recorded, no step is started and no time passes, so it works beside the engine of the store, on a copy, or without any store at all.
package final class Rehearser: Sendable {
    /// Nil where histories come from files.
    private let client: Client?
    private let registry: WorkflowRegistry
    private let services: ActivationServices
    /// Processes that live, or nobody could tell a run that is under way from one whose owner has died.
    private let living: Set<NodeID>
    /// What the executable's runs would be recorded under.
    package let build: String

    /// - Throws: `PerdureError` for names that are invalid or registered twice.
    package convenience init(
        _ client: Client, _ workflows: [RegisteredWorkflow], _ configuration: EngineConfiguration
    ) async throws {
        try self.init(client, workflows, configuration, living: Set(try await client.livingNodes().map(\.id)))
    }

    /// For histories that are not in a store.
    ///
    /// - Throws: `PerdureError` for names that are invalid or registered twice.
    package convenience init(_ workflows: [RegisteredWorkflow], _ configuration: EngineConfiguration) throws {
        try self.init(nil, workflows, configuration, living: [])
    }

    private init(
        _ client: Client?, _ workflows: [RegisteredWorkflow], _ configuration: EngineConfiguration, living: Set<NodeID>
    ) throws {
        self.client = client
        self.living = living
        registry = try WorkflowRegistry(workflows)
        build = configuration.build ?? BuildFingerprint.current
        services = Self.services(client?.store ?? NoStore(), registry, build, configuration.clamped)
    }

    private static func services(
        _ store: any Store, _ registry: WorkflowRegistry, _ build: String, _ configuration: EngineConfiguration
    ) -> ActivationServices {
        let logger = Logger(label: "perdure") { _ in SwiftLogNoOpLogHandler() }
        let clock = StoreClock(store, machine: configuration.clock), scheduler = Scheduler(clock: clock),
            metrics = EngineMetrics()
        return ActivationServices(
            store: store, journal: Journal(store: store, logger: logger) { _, _ in }, registry: registry,
            runtime: .threads, threads: EngineThreads(count: 1, name: "perdure-check"),
            watchdog: Watchdog(limit: configuration.watchdogLimit, now: { .now }) { _ in }, scheduler: scheduler,
            resources: Resources(
                [:], clock: clock, random: configuration.random, scheduler: scheduler, logger: logger,
                metrics: metrics),
            clock: clock, random: configuration.random, node: NodeID(rawValue: "rehearsal"), build: build,
            payloadLimit: configuration.payloadLimit, logger: logger, metrics: metrics, bodies: BodyCounter(),
            bodyExecutor: BodyExecutor(lends: false), bodyWatch: nil,
            recovery: Recovery(clock: clock, since: clock.now(), logger: logger, metrics: metrics),
            lease: nil, lead: Lead(.zero),
            inboxes: InboxLook(store: store, clock: clock, scheduler: scheduler, runtime: .threads, logger: logger),
            report: EventReport(logger: logger, metrics: metrics), observe: { _, _ in })
    }

    /// Ends the threads on which code is run.
    package func close() async { await services.threads.stop() }

    /// Rehearses a run of the store.
    ///
    /// - Throws: `PerdureError` with the store's code.
    package func rehearse(_ record: RunRecord) async throws -> RunRehearsal {
        guard let client else { throw PerdureError(.usage, "There is no store that run \(record.id) could be read from.") }
        if record.state == .quarantined { return .unreadable(record, record.note ?? "The run is quarantined.") }
        return try await client.guarded {
            do throws(HistoryReader.Failure) {
                let store = client.store
                guard let head = try await Self.head(of: record, store) else {
                    return RunRehearsal(record: record, verdict: code(of: record) == nil ? .noCode : .fits, uncleanEnds: [])
                }
                let isOrphaned = record.state == .running && record.owner.map { !living.contains($0) } ?? false
                return try await rehearse(record, end: head, isOrphaned: isOrphaned) { HistoryReader(store, record, end: head) }
            } catch {
                switch error {
                case .broken(let message), .store(.unsupported(let message)): return .unreadable(record, message)
                case .store(let error): throw error
                }
            }
        }
    }

    /// Rehearses a run that stands in no store.
    package func rehearse(_ run: RecordedRun) async -> RunRehearsal {
        if let message = run.obstacle { return .unreadable(run.record, message) }
        let end = run.events.last.map { ChainHead(after: $0) } ?? run.start
        do throws(HistoryReader.Failure) {
            return try await rehearse(run.record, end: end, isOrphaned: run.isOrphaned) { RecordedPages(run.events) }
        } catch {
            switch error {
            case .broken(let message): return .unreadable(run.record, message)
            case .store(let error): return .unreadable(run.record, error.description)
            }
        }
    }

    // MARK: One run

    private func code(of record: RunRecord) -> RegisteredWorkflow? { registry.find(record.workflow, record.version) }

    /// - Parameter read: Begins to read the history at its beginning; that is done twice.
    private func rehearse<Pages: HistoryPages>(
        _ record: RunRecord, end: ChainHead, isOrphaned: Bool, read: () -> Pages
    ) async throws(HistoryReader.Failure) -> RunRehearsal {
        var rehearsal = RunRehearsal(record: record, verdict: .fits, uncleanEnds: [])
        let workflow = code(of: record)
        if workflow == nil { rehearsal.verdict = .noCode }
        let claim = ClaimedRun(record: record, previous: record.state, head: end, isTakeover: false)
        let (resets, patches) = try await survey(read())
        let code = workflow.map { workflow in
            Activation(claim, workflow: workflow, patches: patches, resets: resets, services: services, isOwned: false)
        }
        var pages = read(), owner = "", fits = true, final: Event?
        while let page = try await pages.next() {
            if let event = page.last(where: { $0.kind.isFinal && !resets.passesOver($0.seq) }) { final = event }
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
            if fits, final == nil, let refusal = code.refusal { rehearsal.verdict = .blocks(refusal) }
            if fits, let final { rehearsal.otherEnd = code.otherEnd(than: final) }
        }
        if isOrphaned, owner != build {
            rehearsal.uncleanEnds.append(
                .init(seq: nil, at: nil, build: owner, heir: build, asked: fits ? code?.openSteps ?? [] : []))
        }
        if let code { await leave(code) }
        return rehearsal
    }

    /// What the code is not told, which it has to know before the first event.
    private func survey(
        _ pages: some HistoryPages
    ) async throws(HistoryReader.Failure) -> (resets: [ResetSpan], patches: [String]) {
        var pages = pages, standing = RunStanding(), patched: [Event] = []
        while let page = try await pages.next() {
            for event in page {
                standing.add(event)
                if event.kind == .versionPatched { patched.append(event) }
            }
        }
        let resets = standing.resets
        return (resets, patched.filter { !resets.passesOver($0.seq) }.map(\.subject))
    }

    /// The end of the history at this moment; nil if there is none.
    private static func head(of record: RunRecord, _ store: any Store) async throws(HistoryReader.Failure) -> ChainHead? {
        do throws(StoreError) {
            return try await store.events(of: record.number, before: .max, limit: 1).first.map { ChainHead(after: $0) }
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
    /// Why what the code asks for next would not be begun here.
    fileprivate var refusal: Divergence? { state.withLock { $0.machine.unownedStep } }
    /// How the code ends otherwise than with this event, which closed the run. A terminated run is not asked how it would have ended.
    fileprivate func otherEnd(than final: Event) -> String? {
        guard final.kind != .runTerminated else { return nil }
        let place = "The history ends with \(final.kind.rawValue) (event \(final.seq)), but the code"
        guard let own = state.withLock({ $0.machine.ending }) else { return "\(place) has not come to its end there." }
        if own.kind != final.kind { return "\(place) with \(own.kind.rawValue)." }
        let code = (try? final.attributes.object())?["code"]?.stringValue
        if let ownCode = (try? own.attributes.object())?["code"]?.stringValue, ownCode != code {
            return "\(place) fails with \(ownCode) in place of \(code ?? "nothing")."
        }
        return own.output?.digest == final.output?.digest ? nil : "\(place) gives another result."
    }

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
