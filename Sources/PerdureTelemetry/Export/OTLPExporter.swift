package import Logging
package import Perdure
internal import ServiceLifecycle
internal import Synchronization

/// Sends telemetry to its receivers by OTLP, in batches, beside whatever gives rise to it.
///
/// What is offered waits in memory, in queues of a fixed size, and is lost with the process. It is sent while ``run()`` runs. The logger
/// that it is given must not lead back to it.
package final class OTLPExporter: Service {
    private let configuration: OTLPConfiguration
    private let metrics: MetricsRegistry?
    private let timing: ExportTiming
    private let losses: ExportLosses
    private let queues: [TelemetrySignal: BatchQueue]
    /// Made at the beginning, since only these can fail.
    private let grpcTransports: [TelemetrySignal: GRPCTransport]
    /// Set while it runs.
    private let transports = Mutex<[TelemetrySignal: any OTLPTransport]>([:])

    /// - Parameter metrics: What is exported by itself, every `metricInterval`.
    /// - Throws: `PerdureError` with `configuration_invalid` if a receiver cannot be spoken to at all.
    package init(
        _ configuration: OTLPConfiguration, metrics: MetricsRegistry? = nil, logger: Logger, timing: ExportTiming = .real
    ) throws(PerdureError) {
        self.configuration = configuration
        self.metrics = metrics
        self.timing = timing
        losses = ExportLosses(logger, pause: configuration.lossInterval, elapsed: timing.elapsed)
        queues = configuration.endpoints.mapValues { _ in BatchQueue(configuration) }
        var grpcTransports: [TelemetrySignal: GRPCTransport] = [:]
        for (signal, endpoint) in configuration.endpoints where endpoint.transport == .grpc {
            do {
                grpcTransports[signal] = try GRPCTransport(endpoint, signal)
            } catch {
                throw PerdureError(
                    .configurationInvalid, "The receiver of \(signal.rawValue) cannot be spoken to over gRPC.", cause: error)
            }
        }
        self.grpcTransports = grpcTransports
        for remark in configuration.remarks {
            logger.warning("not all that was set for telemetry is done", metadata: ["remark": "\(remark)"])
        }
    }

    /// Whether there is a receiver of the signal.
    package func sends(_ signal: TelemetrySignal) -> Bool { queues[signal] != nil }

    /// How many items of a signal were not exported: there was no room, the receiver refused them, or could not be reached for too long.
    package func dropped(of signal: TelemetrySignal) -> Int { losses.dropped(of: signal) }

    // MARK: Giving

    /// Takes an item in, if there is room. Returns at once.
    ///
    /// - Returns: Whether it was taken. One that was not is counted as dropped, unless nothing is exported of its signal.
    @discardableResult
    package func offer(_ item: some TelemetryItem) -> Bool {
        let signal = type(of: item).signal
        guard let queue = queues[signal] else { return false }
        switch queue.room {
        case .some where queue.offer(item.bytes): return true
        case .ended: losses.note(1, signal, "the process ends")
        case .some, .none: losses.note(1, signal, "the queue is full")
        }
        return false
    }

    /// Counts what somebody else has to give up.
    func noteDropped(_ count: Int, of signal: TelemetrySignal, _ reason: String) { losses.note(count, signal, reason) }

    /// Sends items at once, past the queue, and waits for the receiver's word. They are sent again as long as OTLP allows and
    /// `patience` lasts.
    ///
    /// - Parameter patience: For how long they are sent again; nil for that of the configuration.
    /// - Returns: How many the receiver has rejected for good. They are counted as dropped.
    /// - Throws: Why not all were taken. After `unavailable`, `stopped` and `cancelled` they may be given again, all of them: a receiver
    ///   can tell by their ids what it has already.
    @discardableResult
    package func export<Item: TelemetryItem>(_ items: [Item], patience: Duration? = nil) async throws(ExportFailure) -> Int {
        var rejected = 0
        for batch in batches(items.map(\.bytes)) { rejected += try await send(batch, Item.signal, patience) }
        return rejected
    }

    private func batches(_ items: [[UInt8]]) -> [[[UInt8]]] {
        var batches: [[[UInt8]]] = [], size = 0
        for item in items {
            size += item.count
            if let last = batches.last, last.count < configuration.batchItems, size <= configuration.batchBytes {
                batches[batches.count - 1].append(item)
            } else {
                batches.append([item])
                size = item.count
            }
        }
        return batches
    }

    // MARK: Running

    /// Sends until it is shut down, and then what still waits, for `flushLimit` at most. A task that is cancelled drops it. To be called
    /// once.
    package func run() async {
        let made = configuration.endpoints.map { signal, endpoint -> (TelemetrySignal, any OTLPTransport) in
            (signal, grpcTransports[signal] ?? HTTPTransport(endpoint))
        }
        transports.withLock { $0 = Dictionary(made) { first, _ in first } }
        await withTaskGroup { connections in
            for (_, transport) in made { connections.addTask { await transport.run() } }
            await sendUntilShutdown()
            transports.withLock { $0 = [:] }
            for (_, transport) in made { await transport.close() }
            connections.cancelAll()
        }
        for (signal, queue) in queues { losses.note(queue.empty(), signal, "the process ends") }
        losses.tell(isLast: true)
    }

    private enum End { case sent, timeIsUp }

    private func sendUntilShutdown() async {
        await withTaskGroup(of: End.self) { group in
            for (signal, queue) in queues {
                group.addTask { [self] in
                    await drain(queue, signal)
                    return .sent
                }
            }
            group.addTask { [self] in
                while (try? await timing.sleep(configuration.lossInterval)) != nil { losses.tell(isLast: false) }
                return .timeIsUp
            }
            group.addTask { [self] in
                await offerMetricsUntilShutdown()
                for queue in queues.values { queue.finish() }
                try? await timing.sleep(configuration.flushLimit)
                return .timeIsUp
            }
            var open = queues.count
            while open > 0, await group.next() == .sent { open -= 1 }
            group.cancelAll()
        }
    }

    private func drain(_ queue: BatchQueue, _ signal: TelemetrySignal) async {
        while let batch = await queue.next(sleep: timing.sleep) {
            // Metrics are taken out again when there are newer ones.
            if batch.isEmpty { continue }
            do throws(ExportFailure) {
                try await send(batch, signal)
            } catch {
                losses.note(batch.count, signal, "\(error)")
            }
        }
    }

    private func offerMetricsUntilShutdown() async {
        await withTaskGroup { group in
            group.addTask { try? await gracefulShutdown() }
            group.addTask { [self] in
                while (try? await timing.sleep(configuration.metricInterval)) != nil { offerMetrics() }
            }
            await group.next()
            group.cancelAll()
        }
        offerMetrics()
    }

    /// They are sums from the beginning, so the newest replace those that still wait.
    private func offerMetrics() {
        guard let metrics, let queue = queues[.metrics] else { return }
        _ = queue.empty()
        for family in metrics.snapshot() { offer(family) }
    }

    // MARK: Sending

    /// - Returns: How many the receiver has rejected.
    @discardableResult
    private func send(
        _ batch: [[UInt8]], _ signal: TelemetrySignal, _ patience: Duration? = nil
    ) async throws(ExportFailure) -> Int {
        let request = ExportRequest(resource: configuration.resource, items: batch).bytes
        let rule = RetryRule(patience: patience ?? configuration.patience), begin = timing.elapsed()
        var tries = 0
        while true {
            guard let transport = transports.withLock({ $0[signal] }) else { throw .stopped }
            tries += 1
            let reply = await transport.send(request)
            if Task.isCancelled, case .notNow = reply { throw .cancelled }
            switch reply {
            case .taken(let response): return accounted(response, signal, of: batch.count)
            case .refused(let reason): throw .refused(reason)
            case .notNow(let reason, let asked):
                let waited = timing.elapsed() - begin
                guard let wait = rule.wait(afterTries: tries, waited: waited, asked: asked, chance: timing.chance()) else {
                    throw .unavailable(reason)
                }
                do {
                    try await timing.sleep(wait)
                } catch {
                    throw .cancelled
                }
            }
        }
    }

    /// What a receiver rejects of a request is never sent again. Of metrics it counts points, and an item has any number of them.
    private func accounted(_ response: ExportResponse, _ signal: TelemetrySignal, of count: Int) -> Int {
        let text = "\(response.message.prefix(200))"
        guard response.rejected > 0 else {
            if !text.isEmpty { losses.remark(text, signal) }
            return 0
        }
        let rejected = Int(clamping: signal == .metrics ? response.rejected : min(response.rejected, Int64(count)))
        losses.note(rejected, signal, "the receiver rejected a part: \(text)")
        return rejected
    }
}
