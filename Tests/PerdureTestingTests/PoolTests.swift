import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureTesting
import Synchronization
import Testing

/// What an engine in a simulation hands to the process's pool of threads.
@Suite(.timeLimit(.minutes(5))) struct PoolTests {
    /// In a process of its own: the runtime is asked to tell of every job that it puts into the pool.
    @Test func `an engine in a simulation hands nothing to the pool, whatever it does and however it ends`() async throws {
        let child = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            let simulation = Simulation(seed: 11), world = World(simulation)
            try await simulation.run {
                PoolWatch.begin()
                // The watch itself has to see what there is to see.
                Task { PoolWatch.isSeen.store(true, ordering: .relaxed) }
                PoolWatch.end()
            }
            let seen = PoolWatch.leaks.withLock { leaks in
                defer { leaks = [] }
                return leaks.count
            }
            try await simulation.run {
                PoolWatch.begin()
                let first = simulation.process("first")
                let engine = try await world.open(first) { SimulationTests.busy() }
                let run = try await engine.start(Flow.self, input: "x", by: World.ada)
                try await simulation.sleep(for: .hours(3))
                first.crash()
                let second = simulation.process("second"), next = try await world.open(second) { SimulationTests.busy() }
                try await next.client.signal(run.id, Poke.self, "go", by: World.ada)
                _ = try await next.result(of: run.id)
                _ = try await next.start(Flow.self, input: "y", by: World.ada)
                try await simulation.sleep(for: .seconds(10))
                await second.shutDown()
                PoolWatch.end()
            }
            print("seen \(seen)")
            for leak in PoolWatch.leaks.withLock({ $0 }) { print("leak \(leak)") }
        }
        let lines = String(decoding: try #require(child).standardOutputContent, as: UTF8.self).split(separator: "\n")
        #expect(lines.contains("seen 1"))
        #expect(lines.filter { $0.hasPrefix("leak") } == [])
    }
}

/// Sees what the simulation's thread puts into the pool.
private enum PoolWatch {
    // The runtime calls it by Swift's convention, which for two pointers is that of C.
    private typealias Enqueue = @convention(c) (OpaquePointer) -> Void
    private typealias Hook = @convention(c) (OpaquePointer, Enqueue) -> Void

    static let leaks = Mutex<[String]>([])
    static let isSeen = Atomic<Bool>(false)
    private static let thread = Atomic<UInt>(0)

    /// Called on the thread to be watched. What it does after this is none of the engine's: it tells the caller, who is elsewhere.
    static func end() { thread.store(0, ordering: .relaxed) }

    /// Called on the thread to be watched.
    static func begin() {
        thread.store(ThreadIdentity.current, ordering: .relaxed)
        guard let place = dlsym(dlopen(nil, RTLD_LAZY), "swift_task_enqueueGlobal_hook") else { return }
        place.assumingMemoryBound(to: Hook?.self).pointee = { job, enqueue in
            if PoolWatch.thread.load(ordering: .relaxed) == ThreadIdentity.current {
                let stack = Thread.callStackSymbols.joined(separator: " | ")
                PoolWatch.leaks.withLock { $0.append(stack) }
            }
            enqueue(job)
        }
    }
}
