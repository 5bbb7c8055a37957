import Perdure
import PerdureHistory
import PerdureStore

@testable import PerdureEngine

// The children of the run, which live on whatever happens to the run's process.
extension MachineDriver {
    /// Children that have not ended yet, or whose end has not been told.
    var childrenAtWork: [RunView.Child] {
        let told = Set(inbox.filter { $0.delivery.kind == .childResult }.map(\.delivery.name))
        return RunView(history).openChildren.filter { !told.contains($0.subject) }
    }

    /// Puts the end of a child into the inbox, as the child's last commit does.
    func deliverEnd(of subject: String, _ kind: EventKind = .runCompleted, output: String = "{}", by sender: Principal? = nil) {
        guard let child = RunView(history).children.last(where: { $0.subject == subject }) else { return }
        var attributes = JSONObject()
        if kind == .runFailed { attributes = ["code": "broken", "type": "Broken", "message": "no", "definite": true] }
        if kind == .runTerminated { attributes = ["by": JSONValue(Principal(.human, "ann")), "reason": "enough"] }
        let result = ChildResult(
            run: child.run, kind: kind, attributes: attributes, output: kind == .runCompleted ? Array(output.utf8) : nil)
        deliver(.childResult, subject, result.payload, by: sender ?? .run(child.run))
    }

    func endChild(_ subject: String, _ kind: EventKind = .runCompleted, output: String = "{}") throws {
        deliverEnd(of: subject, kind, output: output)
        try settle()
    }

    /// A child is made once, is told to end once, and is over before the run is.
    func wrongChildren() -> [String] {
        var found: [String] = [], open: [String] = [], started: Set<String> = [], told: Set<String> = []
        if Set(startedChildren.map(\.id)).count != startedChildren.count { found.append("a child was made twice") }
        for event in history {
            let attributes = (try? event.attributes.object()) ?? JSONObject()
            switch event.kind {
            case .childStarted:
                if !started.insert(event.subject).inserted { found.append("child \(event.subject) was started twice") }
                if attributes["detached"]?.boolValue != true { open.append(event.subject) }
            case .childCancelRequested:
                if !told.insert(event.subject).inserted { found.append("child \(event.subject) was told to end twice") }
                if !open.contains(event.subject) { found.append("child \(event.subject) was told to end though it was over") }
            case .childCompleted, .childFailed:
                if !open.contains(event.subject) { found.append("child \(event.subject) ends, but was not open") }
                open.removeAll { $0 == event.subject }
            case .childCancelled:
                open.removeAll { $0 == event.subject }
            case _ where event.kind.isFinal:
                if !open.isEmpty { found.append("the run closes before its children \(open)") }
            default: break
            }
        }
        let cancels = deliveries.filter { $0.kind == .cancel }.map(\.run)
        if Set(cancels).count != cancels.count { found.append("a child was sent two cancellations") }
        return found
    }
}
