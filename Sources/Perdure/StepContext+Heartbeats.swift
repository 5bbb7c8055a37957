extension StepContext {
    /// Says that the attempt is alive, and what the next one can go on from if this one does not come to its end.
    ///
    /// It waits for nothing and may be called as often as is convenient. Of several calls within a second only the latest is kept: the
    /// first is written at once, then at most one in a second, never before an outcome that is waiting. A process that is killed may
    /// so lose the last second of it; an attempt that ends in any other way loses nothing. With the outcome of the step the details
    /// are gone: they are never part of the history.
    ///
    /// In a probe it records nothing.
    ///
    /// - Parameter details: At most the payload limit (8 MiB by default). They are readable to whoever can read the store.
    /// - Throws: `CancellationError` when the attempt is to stop: the step is no longer wanted, its time is up, it was silent for too long
    ///   (`StepPolicy.heartbeatTimeout`), or the process ends. The details are kept all the same. `PerdureError` with
    ///   `value_not_encodable` or `payload_too_large`; let through, it is an error of the attempt like any other.
    public func heartbeat(_ details: some Codable & Sendable) throws { try host.heartbeat(details) }

    /// Says that the attempt is alive. Details that were given before stay.
    ///
    /// - Throws: `CancellationError` when the attempt is to stop.
    public func heartbeat() throws { try host.heartbeat(nil) }

    /// What the attempts before this one gave last, whatever ended them; `nil` if there was nothing. What this attempt says itself does not
    /// change it. A probe is given what the attempt that it asks about gave last.
    ///
    /// - Throws: `PerdureError` with `input_undecodable` if it was of another type.
    public func lastHeartbeat<Details: Codable & Sendable>(as type: Details.Type = Details.self) throws -> Details? {
        try host.lastHeartbeat(as: type)
    }
}
