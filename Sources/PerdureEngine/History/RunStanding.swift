package import Perdure
package import PerdureHistory

/// What has to be known of a whole history before the run's code may be brought in. Small, however long the history is.
package struct RunStanding: Sendable {
    package private(set) var parkedReason: String?
    package private(set) var blockedReason: String?
    /// The builds that the history as it stands does not fit.
    package private(set) var blockedBuilds: [String] = []
    /// How often a process died while it owned the run, without anything recorded in between, up to the end of the history.
    package private(set) var deathsWithoutProgress = 0
    /// Those of them that the run answers for: the first two, which may be another one's doing, and each that came while the run was
    /// watched alone.
    package private(set) var chargedDeaths = 0
    /// It was brought in alone, to be watched, and nothing has come of it yet.
    package private(set) var isWatched = false
    package private(set) var isPoisoned = false
    /// What the resets of the run pass over.
    package private(set) var resets: [ResetSpan] = []
    /// The messages that have let the whole run try again. One may still be unread, for what came of it.
    package private(set) var retries: Set<String> = []
    /// The messages that have begun a reset. One is unread until what it asks for is over.
    package private(set) var begunResets: Set<String> = []
    /// While the run is paused.
    package private(set) var pause: Pause?
    package var isPaused: Bool { pause != nil }

    /// Who paused a run, and why.
    package struct Pause: Sendable, Hashable {
        package var by: Principal?
        package var reason: String?

        /// What people read beside the state.
        package var note: String { "By \(by?.id ?? "somebody")\(reason.map { ": \($0)" } ?? "")" }
    }

    /// Deaths that count against every run that was owned at the time. With so many it is a suspect.
    package static let sharedDeaths = 2

    package var isSuspect: Bool { deathsWithoutProgress >= Self.sharedDeaths }

    package init() {}

    /// Attributes that cannot be read count as empty. Those of other events are not even looked at.
    package mutating func add(_ event: Event) {
        switch event.kind {
        case .runResumed:
            let attributes = attributes(event)
            if attributes["clean"]?.boolValue == false { return countDeath() }
            if let isWatched = attributes["watched"]?.boolValue {
                self.isWatched = isWatched
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
        case .operatorAction where event.subject.isEmpty:
            let attributes = attributes(event)
            if let delivery = attributes["delivery"]?.stringValue {
                switch attributes["action"]?.stringValue {
                case "retry": retries.insert(delivery)
                case "reset": begunResets.insert(delivery)
                default: break
                }
            }
        case .runPaused:
            let attributes = attributes(event)
            pause = Pause(by: attributes["by"].flatMap(Principal.init), reason: attributes["reason"]?.stringValue)
        case .runUnpaused: pause = nil
        // Whether the code of the other version fits is an open question.
        case .runRepinned: (blockedReason, blockedBuilds) = (nil, [])
        // The same where the code goes on from an earlier point. Whoever resets a run lets it try again.
        case .runReset:
            resets.add(event, attributes(event))
            (blockedReason, blockedBuilds, parkedReason, isPoisoned) = (nil, [], nil, false)
        default: break
        }
        (deathsWithoutProgress, chargedDeaths, isWatched) = (0, 0, false)
    }

    private mutating func countDeath() {
        deathsWithoutProgress += 1
        if chargedDeaths < Self.sharedDeaths || isWatched { chargedDeaths += 1 }
        isWatched = false
    }

    private func attributes(_ event: Event) -> JSONObject { (try? event.attributes.object()) ?? JSONObject() }
}
