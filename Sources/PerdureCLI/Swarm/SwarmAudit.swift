import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore

/// Compares what happened at the other side with what the histories say, with what the runs returned, and with what their shapes
/// want; and looks whether every history, row and family holds together.
struct SwarmAudit {
    private let client: Client
    private let entries: [String: SwarmLedger.Entry]
    /// How many runs were to be started, and the shape of each.
    private let runs: Int
    private let shape: (Int) -> Shape
    /// How many signals a run was sent. Where an answer was lost nobody knows the number.
    private let signals: [RunID: ClosedRange<Int>]
    /// Commits were lost. What was done and undone then, or on a way that a run has not gone again, no history knows of; what happened is
    /// still counted, and what a history says is still looked for.
    private let hasLosses: Bool

    init(
        _ client: Client, _ entries: [String: SwarmLedger.Entry], runs: Int, shape: @escaping (Int) -> Shape,
        _ signals: [RunID: ClosedRange<Int>], hasLosses: Bool = false
    ) {
        self.hasLosses = hasLosses
        self.client = client
        self.entries = entries
        self.runs = runs
        self.shape = shape
        self.signals = signals
    }

    /// What is known of one run.
    private struct Story {
        var record: RunRecord
        var view: RunView
        /// Of its own things by name: whether history says that it happened, and that it was undone.
        var happened: Set<String> = []
        var undone: Set<String> = []
        var outcome: SwarmRun.Outcome?
        var parent: RunID?
        /// Whoever ends a run without its code, as one whose owners have died again and again, knows of no plain step that has left no
        /// trace.
        var mayHaveEndedUnseen: Bool { record.state == .terminated && view.takeovers >= RunStanding.sharedDeaths }
    }

    func look(_ report: inout SwarmReport) async throws {
        for problem in try await client.guarded({ try await client.store.audit() }) {
            report.note(\.broken, "the store: \(problem)")
        }
        for (name, entry) in entries {
            report.effects += entry.effects
            report.undone += entry.undos
            if entry.isLiedAbout { continue }
            if entry.effects > 1 { report.note(\.duplicates, "\(name) happened \(entry.effects) times") }
            if entry.undos > 1 { report.note(\.duplicates, "\(name) was taken back \(entry.undos) times") }
        }
        var stories: [RunID: Story] = [:]
        var filter = RunFilter(limit: 500)
        while true {
            let page = try await client.guarded { try await client.store.runs(filter) }
            for record in page { stories[record.id] = try await read(record, &report) }
            guard let last = page.last else { break }
            filter.before = last.number
        }
        lookAtStarts(stories, &report)
        if !hasLosses { lookAtShared(stories, &report) }
        let doubtful = liedTo(stories)
        let own = Dictionary(grouping: entries.filter { $0.key.contains(":") }) { RunID(String($0.key.prefix { $0 != ":" })) }
        for (id, story) in stories where !doubtful.contains(id) {
            compareWithHistory(id, story, own[id] ?? [], &report)
            if hasLosses { continue }
            compareWithResult(id, story, own[id] ?? [], stories, &report)
        }
        for (run, things) in own where !hasLosses && (run.map { stories[$0] == nil } ?? true) {
            report.note(\.wrong, "\(things.count) effects belong to no run, such as \(things.first?.key ?? "")")
        }
    }

    // MARK: Reading

    private func read(_ record: RunRecord, _ report: inout SwarmReport) async throws -> Story {
        let events = try await client.history(of: record.id)
        var story = Story(record: record, view: RunView(events))
        var children: [(record: RunRecord, events: [Event])] = []
        for child in story.view.children {
            children.append((try await client.record(child.run), try await client.history(of: child.run)))
        }
        let verdict = HistoryVerifier.verify(record, events, children: children)
        for problem in verdict.problems { report.note(\.broken, "\(record.id): \(problem.message)") }
        report.runs += 1
        report.events += events.count
        report.takeovers += verdict.takeovers
        report.states[record.state.rawValue, default: 0] += 1
        if !record.state.isFinal { report.note(\.lost, "\(record.id) is \(record.state.rawValue): \(record.note ?? "")") }
        var signals = 0
        for event in events { take(event, into: &story, &signals, &report) }
        let sent = self.signals[record.id, default: 0...0]
        if !sent.contains(signals) { report.note(\.lost, "\(record.id) was sent \(sent) signals and has \(signals)") }
        return story
    }

    private func take(_ event: Event, into story: inout Story, _ signals: inout Int, _ report: inout SwarmReport) {
        let attributes = (try? event.attributes.object()) ?? JSONObject()
        switch event.kind {
        case .runStarted: story.parent = attributes["parent"]?.objectValue?["run"]?.stringValue.flatMap(RunID.init)
        case .signalReceived, .signalUndelivered: signals += 1
        case .stepInDoubt, .undoInDoubt: report.inDoubt += 1
        case .stepSucceeded: Self.text(event.output).map { _ = story.happened.insert($0) }
        case .stepResolved where attributes["resolution"] == "happened":
            Self.text(event.output).map { _ = story.happened.insert($0) }
        case .undoSucceeded where !event.subject.contains(SwarmLedger.shared): story.undone.insert(event.subject)
        case .undoResolved where attributes["resolution"] == "happened" && !event.subject.contains(SwarmLedger.shared):
            story.undone.insert(event.subject)
        case .runCompleted:
            if case .inline(let bytes)? = event.output {
                story.outcome = try? JSONDecoder().decode(SwarmRun.Outcome.self, from: Data(bytes))
            }
        default: break
        }
    }

    /// The name of a thing that a step returned; reads return numbers.
    static func text(_ value: StoredValue?) -> String? {
        guard case .inline(let bytes)? = value else { return nil }
        return try? JSONDecoder().decode(String.self, from: Data(bytes))
    }

    // MARK: Comparing

    /// Every run that was to be started is there, once; every other one is somebody's child.
    private func lookAtStarts(_ stories: [RunID: Story], _ report: inout SwarmReport) {
        let roots = stories.values.filter { $0.parent == nil }
        report.children = stories.count - roots.count
        let keys = Set(roots.compactMap(\.record.key))
        if roots.count != runs || keys.count != runs {
            report.note(\.lost, "\(runs) runs were to be started, there are \(roots.count) with \(keys.count) keys")
        }
        let adopted = Set(stories.values.flatMap { $0.view.children.map(\.run) })
        for (id, story) in stories where story.parent != nil && !adopted.contains(id) {
            report.note(\.broken, "\(id) is the child of a run that does not know it")
        }
    }

    /// Each thing happened as often as the history says, and was taken back as often.
    private func compareWithHistory(
        _ id: RunID, _ story: Story, _ own: [(key: String, value: SwarmLedger.Entry)], _ report: inout SwarmReport
    ) {
        let counted = Set(own.filter { $0.value.effects > 0 }.map(\.key))
        for name in story.happened.subtracting(counted) where !name.hasPrefix(SwarmLedger.shared) {
            report.note(\.lost, "\(name) stands in the history and never happened")
        }
        if hasLosses { return }
        for name in counted.subtracting(story.happened) where !story.mayHaveEndedUnseen {
            report.note(\.wrong, "\(name) happened and the history does not say so")
        }
        let taken = own.filter { $0.value.undos > 0 }.count + story.view.children.count { (entries["\($0.run)"]?.undos ?? 0) > 0 }
        if taken != story.undone.count {
            report.note(\.wrong, "\(id) has \(story.undone.count) undos in its history, and \(taken) at the other side")
        }
    }

    /// Runs of which nobody can say what they should have come to: the other side has lied to them, or to a child of theirs.
    private func liedTo(_ stories: [RunID: Story]) -> Set<RunID> {
        var all = Set(entries.filter(\.value.isLiedAbout).compactMap { RunID(String($0.key.prefix { $0 != ":" })) })
        var next = all
        while !next.isEmpty {
            next = Set(next.compactMap { stories[$0]?.parent }).subtracting(all)
            all.formUnion(next)
        }
        return all
    }

    /// What is done once for all runs is known to one of them, and stands once at most at any time.
    private func lookAtShared(_ stories: [RunID: Story], _ report: inout SwarmReport) {
        let things = entries.filter { $0.key.hasPrefix(SwarmLedger.shared) }
        let told = Set(stories.values.flatMap(\.happened).filter { $0.hasPrefix(SwarmLedger.shared) })
        for name in told where (things[name]?.effects ?? 0) == 0 {
            report.note(\.lost, "\(name) stands in a history and never happened")
        }
        for (name, entry) in things where entry.effects > 0 && !told.contains(name) {
            report.note(\.wrong, "\(name) happened and no history says so")
        }
        for key in SwarmRun.sharedKeys {
            let standing = things.count { $0.key.hasPrefix(SwarmLedger.sharedThing(key)) && $0.value.effects > $0.value.undos }
            if standing > 1 { report.note(\.duplicates, "what is done under the key '\(key)' stands \(standing) times") }
        }
    }

    /// What a run says is done stands; everything else of it was taken back. A run that did not complete has nothing standing.
    private func compareWithResult(
        _ id: RunID, _ story: Story, _ own: [(key: String, value: SwarmLedger.Entry)], _ stories: [RunID: Story],
        _ report: inout SwarmReport
    ) {
        // Nothing is taken back of what somebody has ended by force.
        guard story.record.state != .terminated else { return }
        let done = Set(story.outcome?.done ?? [])
        for (name, entry) in own where entry.effects - entry.undos != (done.contains(name) ? 1 : 0) {
            report.note(
                \.wrong,
                "\(name) (\(story.record.state.rawValue)): \(entry.effects) effects, \(entry.undos) undone, wanted: \(done.contains(name))"
            )
        }
        let names = Set(own.map(\.key))
        for name in done where name.hasPrefix("\(id):") && !names.contains(name) {
            report.note(\.lost, "\(name) is in the result and never happened")
        }
        for child in story.view.children where child.hasHappened {
            let undos = entries["\(child.run)"]?.undos ?? 0
            if stories[child.run]?.record.state != .completed {
                report.note(\.broken, "\(child.run) happened and did not complete")
            }
            // One that is left and ended just when it was given up stays as it is: whoever gave it up has not heard of it.
            let isWanted = done.contains("\(child.run)"), allowed = isWanted ? 0...0 : child.isAbandoned ? 0...1 : 1...1
            if !allowed.contains(undos) {
                report.note(\.wrong, "child \(child.run): undone \(undos) times, wanted: \(isWanted)")
            }
        }
        compareWithShape(id, story, done, &report)
    }

    /// Where neither time nor a person decides, the shape alone says what has to come of a run.
    private func compareWithShape(_ id: RunID, _ story: Story, _ done: Set<String>, _ report: inout SwarmReport) {
        guard let key = story.record.key, let number = Int(key.dropFirst("run-".count)), story.record.state != .cancelled,
            let wanted = shape(number).outcome()
        else { return }
        switch wanted {
        case .fails:
            if story.record.state != .failed { report.note(\.wrong, "\(id) is \(story.record.state.rawValue) and had to fail") }
        case .done(let places):
            let own = Set(done.filter { $0.hasPrefix("\(id):") }.map { String($0.dropFirst("\(id):".count)) })
            if story.record.state != .completed || own != Set(places) {
                report.note(\.wrong, "\(id) is \(story.record.state.rawValue) with \(own.count) things done, of \(places.count)")
            }
        }
    }
}
