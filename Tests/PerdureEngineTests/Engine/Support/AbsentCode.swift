import Foundation
import Perdure
import PerdureHistory
import PerdureStore

@testable import PerdureEngine

/// What undos of the tests do when they are called for the n-th time.
typealias UndoFate = @Sendable (Int) async throws -> Void

/// Books a thing; the booking can be taken back as often as one likes.
struct Booking: Step {
    static let name = "book"
    let effects: Effects
    var fate: UndoFate = { _ in }
    var effect: Effect<String, String> { .idempotent(retention: .forever) }
    var policy: StepPolicy { .plain() }

    func perform(_ thing: String, _ step: StepContext) async throws -> String {
        effects.add("book \(thing)", key: step.idempotencyKey)
        return "b-\(thing)"
    }

    func undo(_ booking: String, of thing: String, _ step: StepContext) async throws {
        effects.add("unbook \(booking) of \(thing)", key: step.idempotencyKey)
        try await fate(effects.count("unbook \(booking) of \(thing)"))
    }
}

/// Pays, and never learns whether it has; paying back must not be repeated blindly.
struct Payment: Step {
    static let name = "pay"
    let effects: Effects
    var fate: UndoFate = { _ in }
    var effect: Effect<String, String> { .atMostOnce(inDoubt: .askPerson) }
    var policy: StepPolicy { .plain() }
    var undoing: UndoEffect<String> { .atMostOnce(inDoubt: .askPerson) }

    func perform(_ bill: String, _ step: StepContext) async throws -> String {
        effects.add("pay \(bill)", key: step.idempotencyKey)
        throw Hiccup()
    }

    func undo(_ receipt: String, of bill: String, _ step: StepContext) async throws {
        effects.add("pay back \(receipt) of \(bill)", key: step.idempotencyKey)
        try await fate(effects.count("pay back \(receipt) of \(bill)"))
    }
}

/// Holds a thing, and never learns whether it does; letting it go is safe.
struct Holding: Step {
    static let name = "hold"
    let effects: Effects
    var fate: UndoFate = { _ in }
    var effect: Effect<String, String> { .atMostOnce(inDoubt: .askPerson) }
    var policy: StepPolicy { .plain() }

    func perform(_ thing: String, _ step: StepContext) async throws -> String {
        effects.add("hold", key: step.idempotencyKey)
        throw Hiccup()
    }

    func undo(_ hold: String, of thing: String, _ step: StepContext) async throws {
        effects.add("let go \(hold)", key: step.idempotencyKey)
        try await fate(effects.count("let go \(hold)"))
    }
}

// Runs whose code is gone, in a process that has their steps.
extension EngineHarness {
    /// Books two things, then waits.
    var booker: Flow {
        Flow { [effects] _, context in
            try await context.step(Booking(effects: effects), input: "room")
            try await context.step(Booking(effects: effects), input: "car")
            return try await context.signal(Poke.self) + " booked"
        }
    }

    /// Books one thing and pays for it.
    var payer: Flow {
        Flow { [effects] _, context in
            do {
                try await context.step(Booking(effects: effects), input: "room")
                return try await context.step(Payment(effects: effects), input: "bill")
            } catch let failure as StepFailure {
                return failure.code
            }
        }
    }

    /// Holds something.
    var holder: Flow {
        Flow { [effects] _, context in
            do {
                return try await context.step(Holding(effects: effects), input: "seat")
            } catch let failure as StepFailure {
                return failure.code
            }
        }
    }

    /// Another process, which has steps and no code.
    func openWithoutCode(_ fate: @escaping UndoFate = { _ in }) async throws {
        try await open {
            NewerFlow { input, _ in input }
        } steps: {
            Booking(effects: effects, fate: fate)
            Payment(effects: effects, fate: fate)
            Holding(effects: effects, fate: fate)
        }
    }

    /// Another process, whose code books a boat instead: it fits no run of the booker.
    func openSailing(_ fate: @escaping UndoFate = { _ in }) async throws {
        try await open(build: "build-2") { [effects] in
            Flow { _, context in
                try await context.step(Booking(effects: effects), input: "boat")
                return "sailed"
            }
        } steps: {
            Booking(effects: effects, fate: fate)
        }
    }

    /// A run that was left in this state by the process that had its code.
    func left(_ flow: Flow, _ state: RunState, _ fate: @escaping UndoFate = { _ in }) async throws -> RunID {
        try await open { flow }
        let run = try await start().id
        try await until(run, is: state)
        try await stop()
        try await openWithoutCode(fate)
        return run
    }

    func booked(_ fate: @escaping UndoFate = { _ in }) async throws -> RunID { try await left(booker, .waiting, fate) }
    func inDoubt(_ fate: @escaping UndoFate = { _ in }) async throws -> RunID { try await left(payer, .parked, fate) }

    func undoPayment(_ run: RunID) async throws {
        try await engine.client.resolve(
            run, step: "pay", .undo(result: Data("\"receipt\"".utf8)), reason: "twice", by: Self.bob)
    }

    func undoHolding(_ run: RunID) async throws {
        try await engine.client.resolve(run, step: "hold", .undo(result: Data("\"h\"".utf8)), by: Self.bob)
    }

    func unread(_ run: RunID) async throws -> Int {
        try await observer().store.inbox(run: try await record(run).number).count
    }
}
