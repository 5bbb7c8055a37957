import Perdure
package import PerdureHistory
import PerdureStore

extension WorkflowInventory {
    /// Reads histories, one after the other, and keeps what they tell of steps.
    package struct Survey: Sendable {
        package private(set) var sightings: [Sighting] = []

        package init() {}

        /// Takes in a run.
        package mutating func add(_ events: [Event], workflow: String, version: String) {
            var sighting = Sighting(workflow: workflow, version: version, runs: 1, steps: [], refused: [])
            for use in Self.uses(in: events) { sighting.steps.add(use) }
            for event in events where event.kind == .runBlocked {
                guard let attributes = try? event.attributes.object(),
                    attributes["reason"]?.stringValue == Divergence.Kind.ownerMissing.rawValue
                else { continue }
                let name = Name.ofPlace(event.subject)
                if !sighting.refused.contains(name) { sighting.refused.append(name) }
            }
            add(sighting)
        }

        package mutating func add(_ other: Survey) {
            for sighting in other.sightings { add(sighting) }
        }

        private mutating func add(_ sighting: Sighting) {
            let place = sightings.firstIndex { $0.workflow == sighting.workflow && $0.version == sighting.version }
            guard let place else { return sightings.append(sighting) }
            sightings[place].runs += sighting.runs
            for step in sighting.steps { sightings[place].steps.add(step) }
            for name in sighting.refused where !sightings[place].refused.contains(name) { sightings[place].refused.append(name) }
        }

        /// Every use of a step, in the order in which they begin.
        private static func uses(in events: [Event]) -> [Step] {
            var uses: [Step] = [], places: [String: Int] = [:]
            for event in events {
                let family = event.kind.rawValue.prefix { $0 != "." }
                guard family == "step" || family == "undo" || family == "approval" else { continue }
                let attributes = (try? event.attributes.object()) ?? JSONObject(), effect = attributes["effect"]?.stringValue
                if effect == EffectKind.read.name { continue }
                let place = places[event.subject]
                // Given up before anything of it was begun: what its approval would have been, no event says.
                if place == nil, event.kind == .stepCancelled { continue }
                let index = place ?? uses.count
                if place == nil {
                    places[event.subject] = index
                    uses.append(Step(name: Name.ofPlace(event.subject), effect: "", hasApproval: false))
                }
                switch family {
                case "approval": uses[index].hasApproval = true
                case "undo":
                    uses[index].undoEffect = effect ?? uses[index].undoEffect
                    uses[index].undoHasProbe = attributes["probe"]?.boolValue ?? uses[index].undoHasProbe
                default:
                    uses[index].effect = effect ?? uses[index].effect
                    uses[index].hasProbe = attributes["probe"]?.boolValue ?? uses[index].hasProbe
                    uses[index].irreversible = attributes["irreversible"]?.stringValue ?? uses[index].irreversible
                }
            }
            return uses
        }
    }
}

extension Client {
    /// What the runs of this store tell of the steps of their workflows: all runs whose histories are there, open and closed. Every history
    /// is read once, one at a time.
    ///
    /// - Returns: What they tell, and why runs were left out that cannot be read.
    /// - Throws: `PerdureError` with the store's code.
    public func workflowSightings() async throws -> (sightings: [WorkflowInventory.Sighting], problems: [String]) {
        var survey = WorkflowInventory.Survey(), problems: [String] = [], filter = RunFilter(limit: 200)
        while true {
            let (page, unreadable) = try await readable(filter)
            problems += unreadable
            for record in page where record.tombstone == nil {
                do {
                    survey.add(try await history(of: record.id), workflow: record.workflow, version: record.version)
                } catch let error as PerdureError where error.isAboutOneHistory {
                    problems.append("Run \(record.id) cannot be read: \(error.message)")
                }
            }
            guard let last = page.last else { return (survey.sightings, problems) }
            filter.before = last.number
        }
    }
}
