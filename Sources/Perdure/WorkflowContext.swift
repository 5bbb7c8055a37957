public import Foundation
public import Logging

/// A workflow's only way to the outside: everything that is recorded, waited for or undone goes through here.
///
/// Use it from the workflow's own task and its structured children (`async let`, task groups) only. Use from `Task {}`, an actor or
/// a step's body is detected and stops the run with a message that says what to do instead.
///
/// A `PerdureError` that a method throws is a mistake of the code and no outcome of the call: a name that is taken, an input that cannot
/// be recorded, a context used from outside. The run is blocked for this build, whatever the code does with the error, and goes on with
/// one that mends it. Let it through.
///
/// Names are 1 to 128 bytes of text without control characters, `/`, `#`, `[` and `]`, those of signals and workflows only of
/// letters, digits, `-`, `_` and `.`; an `id:` or a `key:` is 1 to 256 bytes of text without control characters.
public struct WorkflowContext: Sendable {
    package let host: any RunHost

    package init(host: any RunHost) { self.host = host }

    /// The public id of this run.
    public var runID: RunID { host.runID }

    /// The time of the last event of the run's history; the same on replay. `Date()` is not.
    public var now: Date { host.now }

    /// A logger that carries the run's name and is silent while the run is replayed.
    public var logger: Logger { host.logger }

    /// A number that belongs to this name and this run, the same on every replay.
    ///
    /// - Throws: `PerdureError` if the name is invalid or belongs to another task (give it an `id:`).
    public func random(_ name: String, id: String? = nil) throws -> UInt64 { try host.random(name, id: id) }

    /// A number in the range that belongs to this name and this run, the same on every replay.
    ///
    /// - Throws: `PerdureError` if the name is invalid or belongs to another task (give it an `id:`).
    public func random<T: FixedWidthInteger>(_ name: String, id: String? = nil, in range: ClosedRange<T>) throws -> T {
        var generator = try randomGenerator(name, id: id)
        return T.random(in: range, using: &generator)
    }

    /// A generator that belongs to this name and this run, and gives the same numbers on every replay: for `shuffled(using:)`,
    /// `randomElement(using:)` and the like.
    ///
    /// What the standard library makes of the numbers is up to the version of it that the program is built with. Record the outcome with
    /// `read` if runs have to outlive a change of the compiler.
    ///
    /// - Throws: `PerdureError` if the name is invalid or belongs to another task (give it an `id:`).
    public func randomGenerator(_ name: String, id: String? = nil) throws -> DerivedGenerator {
        DerivedGenerator(state: try host.random(name, id: id))
    }

    /// A UUID that belongs to this name and this run, the same on every replay.
    ///
    /// - Throws: `PerdureError` if the name is invalid or belongs to another task (give it an `id:`).
    public func uuid(_ name: String, id: String? = nil) throws -> UUID { try host.uuid(name, id: id) }
}

/// Spreads one number that belongs to a run over as many as are needed, by SplitMix64 (Steele, Lea, Flood 2014). Not for secrets.
public struct DerivedGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(state: UInt64) { self.state = state }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
