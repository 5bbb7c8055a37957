import CoreMetrics
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

extension Activation {
    /// History and code do not fit, or the code did something that cannot be replayed. Nothing that the code does from here on counts; the
    /// run waits for another build. What bodies have done is committed first: outcomes where they are known, intents where they are
    /// not, so that no build can miss it.
    func block(_ divergence: Divergence) {
        let (isOver, advances) = state.withLock { state -> (Bool, [RunAdvance]) in
            guard !state.isClosed, state.inFlight == nil else { return (true, []) }
            if state.failure == nil { state.failure = divergence }
            guard state.isOwned else { return (false, []) }
            let now = services.clock.now()
            // In case the store cannot hold what is to be said, it is said without quoting anything.
            let plain = blocking(
                Divergence(divergence.kind, subject: "", message: "The store cannot hold what the run wants to record."),
                state.machine.handOverDrafts(now: now), [], state, now: now)
            let known = endedBodies(&state, now: now)
            let full = blocking(
                divergence, known.events + state.machine.handOverDrafts(now: now), known.settles, state, now: now)
            return (false, [full, plain])
        }
        if isOver { return }
        closeCode()
        stopBodies()
        // A run that nobody owns cannot be blocked by this activation; whoever claims it next meets the same.
        if advances.isEmpty { return services.observe(self, .gone) }
        services.metrics.blocked.increment()
        services.logger.error("a run is blocked", metadata: ["run": "\(identity.id)", "reason": "\(divergence.message)"])
        submit(advances[...], divergence)
    }

    /// What has become of bodies and is not in history yet, as far as it can be taken into one commit.
    private func endedBodies(_ state: inout State, now: Timestamp) -> Drafts {
        var drafts = Drafts(), touched: Set<OperationID> = []
        guard !state.machine.isReplaying else { return drafts }
        for (_, fact) in state.facts where fact.endedBody != nil {
            guard let operation = state.machine.operation(of: fact), touched.insert(operation).inserted else { continue }
            drafts.append(state.machine.drafts(for: fact, now: now, random: 0.5))
        }
        return drafts
    }

    private func blocking(
        _ divergence: Divergence, _ drafts: [EventDraft], _ settles: [BusinessKeySettlement], _ state: State, now: Timestamp
    ) -> RunAdvance {
        let attributes: Attributes = [
            "build": .string(services.build), "reason": .string(divergence.kind.rawValue), "message": .string(divergence.message),
        ]
        let blocked = EventDraft(.runBlocked, subject: divergence.subject, attributes: attributes)
        var head = state.head
        let events = head.append(contentsOf: drafts + [blocked], run: identity.id.description, now: now)
        return RunAdvance(
            run: number, epoch: state.epoch, head: state.head, events: events,
            transition: RunTransition(to: .blocked, note: divergence.message, blockedBuild: services.build), settles: settles)
    }

    /// Commits the first of these that the store can hold.
    private func submit(_ advances: ArraySlice<RunAdvance>, _ divergence: Divergence) {
        guard let advance = advances.first else {
            // Read again it would come to the same, for ever. The run stays with this node until that ends.
            services.logger.critical("the store cannot hold that a run is blocked", metadata: ["run": "\(identity.id)"])
            return services.observe(self, .gone)
        }
        services.journal.submit(.advance(advance)) { [self] result in
            switch result {
            case .advanced?:
                services.report.tell(advance.events, of: identity.id, workflow: identity.workflow)
                services.observe(self, .blocked(divergence))
            case .refused(.invalid)?: submit(advances.dropFirst(), divergence)
            case nil: services.observe(self, .gone)
            default: services.observe(self, .lost)
            }
        }
    }
}
