import Perdure
import PerdureHistory

@testable import PerdureEngine

// What holds however often a run is reset. Keys stand for the other side: it answers what it has done under one, and does it no more.
extension MachineDriver {
    /// Nothing that has happened, or was undone, is sent again under its key; what is undone has happened, is undone once, and under the
    /// key made from its own; and no child is made twice.
    func doneTwice() -> [String] {
        let runs = history.filter { $0.kind == .childStarted }.compactMap { attributes($0)["run"]?.stringValue }
        var found = Set(runs).count == runs.count ? [] : ["a child was made twice: \(runs)"]
        let subjects = Set(history.map(\.subject) + calls.map(\.subject)).subtracting([""])
        for subject in subjects.sorted() { found += doneTwice(subject) }
        return found
    }

    private func attributes(_ event: Event) -> JSONObject { (try? event.attributes.object()) ?? JSONObject() }

    private func doneTwice(_ subject: String) -> [String] {
        var found: [String] = []
        // Where it happened and was not undone, as places in the history.
        var standing: [Int] = [], settled: [Attempt.Body: [Int]] = [:]
        let undos = calls.filter { $0.subject == subject && $0.body == .undo }
        var lookedAt = Set<Call>()
        func look(before index: Int) {
            for call in undos where call.seq <= index && lookedAt.insert(call).inserted {
                guard let happened = standing.last else {
                    found.append("'\(subject)' is undone at \(call.seq), where nothing of it stands")
                    continue
                }
                guard let key = key(of: subject, happenedAt: happened) else { continue }
                // What a lost part has done again after a reset nobody here knows the key of.
                if call.key != IdempotencyKey.undo(of: key), !kinds.contains(.runRestored) {
                    found.append("'\(subject)' is undone at \(call.seq) under another key")
                }
            }
        }
        for (index, event) in history.enumerated() where event.subject == subject {
            look(before: index)
            let resolution = attributes(event)["resolution"]?.stringValue
            switch event.kind {
            case .stepSucceeded where !attributes(event).has("adopted_from"), .childCompleted:
                standing.append(index)
                settled[.step, default: []].append(index)
            case .stepResolved where resolution == "happened" || resolution == "undo":
                standing.append(index)
                settled[.step, default: []].append(index)
            case .undoSucceeded, .undoResolved:
                if event.kind == .undoResolved, resolution != "happened" { continue }
                if standing.popLast() == nil { found.append("'\(subject)' was undone more often than it happened") }
                for body in [Attempt.Body.step, .undo] { settled[body, default: []].append(index) }
            default: continue
            }
        }
        look(before: history.count)
        for body in [Attempt.Body.step, .undo] {
            let sent = calls.filter { $0.subject == subject && $0.body == body }
            for (place, call) in sent.enumerated() {
                for earlier in sent[..<place] where earlier.key == call.key {
                    guard settled[body, default: []].contains(where: { earlier.seq <= $0 && $0 < call.seq }) else { continue }
                    found.append("'\(subject)' (\(body)) is sent at \(call.seq) under the key that was used up at \(earlier.seq)")
                }
            }
        }
        return found
    }

    /// The key under which it happened, as far as it is known who did it.
    private func key(of subject: String, happenedAt index: Int) -> String? {
        if history[index].kind == .childCompleted {
            guard let start = history[..<index].last(where: { $0.kind == .childStarted && $0.subject == subject }) else {
                return nil
            }
            return IdempotencyKey.derive(
                namespace: identity.namespace, run: identity.id.description, subject: subject,
                generation: Int(attributes(start)["generation"]?.integerValue ?? 0))
        }
        let call = calls.last { $0.subject == subject && $0.body == .step && $0.seq <= index }
        // What a part that is lost may have done has an intent, and was sent by nobody that is known.
        guard let intent = history[...index].last(where: { $0.kind == .stepIntended && $0.subject == subject }),
            intent.seq > call?.seq ?? 0
        else { return call?.key }
        return attributes(intent)["key"]?.stringValue
    }
}
