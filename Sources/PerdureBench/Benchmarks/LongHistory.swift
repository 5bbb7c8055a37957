import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore

/// Writes the history of a very long run through the store, chained and verified as the engine's own: executing a million steps one
/// after the other would take many minutes and show nothing new. That it is what the engine would have written is proved by the
/// engine, which takes the run over and finishes it.
enum LongHistory {
    private static let page = 10_000

    /// The events are the start and one for each step but the last, which is left to be done.
    static func write(_ place: BenchPlace, events count: Int) async throws {
        let store = try await place.configuration(Logger(label: "perdure.bench")).open(.engine)
        do {
            try await write(store, count)
        } catch {
            await store.close()
            throw error
        }
        await store.close()
    }

    private static func write(_ store: any Store, _ count: Int) async throws {
        let node = NodeID(rawValue: "bench-writer")
        try await store.register(NodeRegistration(id: node, build: "bench", host: "bench", processID: getpid()))
        let input = try Payload.encode(Sequence.Input(run: 0, steps: count, bytes: 64), what: "the input")
        let run = NewRun(
            RegisteredWorkflow(Sequence(recorder: Recorder())), input: input,
            options: try StartOptions(key: nil, labels: [:], deadline: nil), namespace: "default",
            by: Principal(.system, "bench"),
            build: "bench", node: node, isOwned: true, now: store.now(), random: { .random(in: .min ... .max) })
        guard case .created(let record)? = try await store.commit([.create(run)]).first, let first = run.events.last else {
            throw BenchError("the long run was not created")
        }
        let output = try Payload.encode(Value.text(64), what: "a value").bytes
        var head = ChainHead(after: first)
        for start in stride(from: 0, to: count - 1, by: page) {
            let steps = start..<min(start + page, count - 1)
            let drafts = steps.map { step in
                EventDraft(
                    .stepSucceeded, subject: step == 0 ? "work" : "work#\(step + 1)",
                    attributes: ["attempt": 1, "effect": .string(EffectKind.idempotent(.forever).name)],
                    input: .inline(Array(String(step).utf8)), output: .inline(output))
            }
            let before = head
            let events = head.append(contentsOf: drafts, run: record.id.description, now: store.now())
            let isLast = steps.upperBound == count - 1
            let advance = RunAdvance(
                run: record.number, epoch: 1, head: before, events: events, transition: isLast ? RunTransition(to: .ready) : nil)
            guard case .advanced? = try await store.commit([.advance(advance)]).first else {
                throw BenchError("the long run was not written")
            }
        }
        try await store.unregister(node)
    }
}
