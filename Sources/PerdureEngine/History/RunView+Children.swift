package import Perdure
import PerdureHistory

extension RunView {
    /// A child that exists.
    package struct Child: Sendable {
        package var subject: String
        package var run: RunID
        package var workflow: String
        package var version: String
        package var irreversible: String?
        /// It goes on when the run no longer waits for it.
        package var isAbandoned: Bool
        /// It was told to end.
        package var isCancelling = false
        /// The run waits for it.
        package var isOpen = true
        /// It completed and the run was told so.
        package var hasHappened = false
        /// The events that say that it was started, has completed, and was undone.
        package var startedAt: Int64 = 0
        package var completedAt: Int64?
        package var undoneAt: Int64?
        /// The reset that has passed over it since and has its outcome answer again.
        package var adoptedAt: Int64?
        /// The run has stopped waiting for it, if it ever did: how it ended stands in its own history alone.
        package var isLeftAlone = false

        /// Takes an event of the family in. One that does not fit is passed over: a view never fails.
        ///
        /// - Parameter open: Where the open ones stand, by their subjects.
        static func add(_ event: Event, _ attributes: JSONObject, to children: inout [Child], open: inout [String: Int]) {
            if event.kind == .childStarted {
                guard let run = attributes["run"]?.stringValue.flatMap(RunID.init) else { return }
                let isDetached = attributes["detached"]?.boolValue ?? false
                if !isDetached { open[event.subject] = children.count }
                children.append(
                    Child(
                        subject: event.subject, run: run, workflow: attributes["workflow"]?.stringValue ?? "",
                        version: attributes["version"]?.stringValue ?? "", irreversible: attributes["irreversible"]?.stringValue,
                        isAbandoned: attributes["abandon"]?.boolValue ?? false, isOpen: !isDetached,
                        startedAt: event.seq, completedAt: isDetached ? event.seq : nil, isLeftAlone: isDetached))
                return
            }
            guard let index = open[event.subject] else { return }
            if event.kind == .childCancelRequested {
                children[index].isCancelling = true
                return
            }
            open[event.subject] = nil
            children[index].isOpen = false
            children[index].hasHappened = event.kind == .childCompleted
            if event.kind == .childCompleted { children[index].completedAt = event.seq }
            children[index].isLeftAlone = attributes["abandoned"]?.boolValue ?? false
        }
    }

    /// Children that the run waits for.
    package var openChildren: [Child] { children.filter(\.isOpen) }
    /// Children whose completion stays: it has no undo, or has not been undone.
    package var standingChildren: [Child] { children.filter { $0.hasHappened && $0.undoneAt == nil && !isCopy($0.completedAt) } }
    /// Whether no later one has taken its place after a reset.
    func isCurrent(_ child: Child) -> Bool { children.last { $0.subject == child.subject }?.run == child.run }
}
