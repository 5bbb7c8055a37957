package import PerdureHistory

/// What has to be known of a whole history before the run's code may be brought in. Small, however long the history is.
package struct RunStanding: Sendable {
    package private(set) var parkedReason: String?
    package private(set) var blockedReason: String?
    /// The builds that the history as it stands does not fit.
    package private(set) var blockedBuilds: [String] = []
    /// How often a process died while it owned the run, without anything recorded in between, up to the end of the history.
    package private(set) var deathsWithoutProgress = 0
    package private(set) var isPoisoned = false

    package init() {}

    /// Attributes that cannot be read count as empty. Those of other events are not even looked at.
    package mutating func add(_ event: Event) {
        switch event.kind {
        case .runResumed:
            if attributes(event)["clean"]?.boolValue == false {
                deathsWithoutProgress += 1
                return
            }
        case .runParked:
            let attributes = attributes(event)
            parkedReason = attributes["reason"]?.stringValue
            isPoisoned = attributes["poisoned"]?.boolValue ?? false
        case .runUnparked: (parkedReason, isPoisoned) = (nil, false)
        case .runBlocked:
            let attributes = attributes(event)
            blockedReason = attributes["message"]?.stringValue
            if let build = attributes["build"]?.stringValue, blockedBuilds.last != build { blockedBuilds.append(build) }
        case .runUnblocked: (blockedReason, blockedBuilds) = (nil, [])
        default: break
        }
        deathsWithoutProgress = 0
    }

    private func attributes(_ event: Event) -> JSONObject { (try? event.attributes.object()) ?? JSONObject() }
}
