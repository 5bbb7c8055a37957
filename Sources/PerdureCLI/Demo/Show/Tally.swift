import Foundation
import Perdure
import PerdureEngine
import PerdureExamples
import PerdureHistory
import PerdurePeer

/// Counts at the other side what happened, and compares it with what the runs were there to bring about.
struct Tally {
    /// One thing that may happen a certain number of times.
    struct Cell: Hashable {
        var operation: PeerOperation
        /// What it happened to, by the name it has in the business: the order and not the charge's number.
        var resource: String
        /// The role granted, the template of a mail.
        var detail = ""
    }

    private let stage: Stage
    private let client: Client
    private let runs: [RunID: EngineReport]

    init(_ stage: Stage, _ client: Client, _ runs: [RunID: EngineReport]) {
        self.stage = stage
        self.client = client
        self.runs = runs
    }

    func report(kills: [Boundary], missed: [Boundary], duration: Duration) async throws -> DemoReport {
        var report = DemoReport()
        report.seconds =
            Double(duration.components.seconds) + Double(duration.components.attoseconds / 1_000_000_000_000_000) / 1_000
        report.kills = kills.count
        for boundary in Boundary.allCases { report.killsByBoundary[boundary.rawValue] = 0 }
        for boundary in kills { report.killsByBoundary[boundary.rawValue, default: 0] += 1 }
        report.missed = missed.map(\.rawValue)
        let wanted = try wanted()
        var counted: [Cell: Int] = [:]
        for service in [stage.peer, stage.bank] { try await count(service, into: &counted, &report) }
        report.effectsWanted = wanted.values.reduce(0, +)
        report.effectsCounted = counted.values.reduce(0, +)
        for cell in Set(wanted.keys).union(counted.keys) {
            let surplus = counted[cell, default: 0] - wanted[cell, default: 0]
            if surplus > 0 { report.duplicates += surplus } else { report.lost -= surplus }
            report.add(cell.operation.rawValue, wanted: wanted[cell, default: 0], counted: counted[cell, default: 0])
        }
        for (run, start) in runs { try await look(at: run, start, &report) }
        return report
    }

    // MARK: Wanted

    private func wanted() throws -> [Cell: Int] {
        var cells: [Cell: Int] = [:], seen: Set<String> = []
        for start in runs.values {
            guard let key = start.key, let workflow = start.workflow else { continue }
            for cell in Self.effects(of: workflow, key: key) where seen.insert("\(cell) \(start.workflow ?? "")").inserted {
                cells[cell, default: 0] += 1
            }
        }
        return cells
    }

    /// What a run brings about, whatever happens on the way.
    private static func effects(of workflow: String, key: String) -> [Cell] {
        switch workflow {
        case RotateSecrets.name:
            return Story.services.flatMap {
                [Cell(operation: .issueKey, resource: $0), Cell(operation: .activateKey, resource: $0)]
            }
                + [Cell(operation: .sendMessage, resource: "owners@example.org", detail: "rotation")]
        case TakePayment.name:
            // Two runs for one order are one payment.
            let order = key.replacingOccurrences(of: "-again", with: "")
            return [
                Cell(operation: .charge, resource: order),
                Cell(operation: .sendMessage, resource: "\(order)@example.org", detail: "receipt"),
            ]
        case OnboardCustomer.name:
            return [
                Cell(operation: .sendMessage, resource: key, detail: "welcome"),
                Cell(operation: .createAccount, resource: "customer \(key)"),
                Cell(operation: .createAccount, resource: key), Cell(operation: .grantRole, resource: key, detail: "admin"),
                Cell(operation: .charge, resource: "first-\(key)"), Cell(operation: .refund, resource: "first-\(key)"),
                Cell(operation: .removeAccount, resource: key),
                Cell(operation: .grantRole, resource: "customer \(key)", detail: "cancelled"),
                Cell(operation: .sendMessage, resource: key, detail: "apology"),
            ]
        case ProvisionAccount.name:
            return [
                Cell(operation: .createAccount, resource: key), Cell(operation: .issueKey, resource: key),
                Cell(operation: .activateKey, resource: key),
            ] + Story.account.roles.map { Cell(operation: .grantRole, resource: key, detail: $0) }
        case DeprovisionAccount.name:
            return [
                Cell(operation: .revokeKey, resource: key), Cell(operation: .removeAccount, resource: key),
                Cell(operation: .sendMessage, resource: "security@example.org", detail: "deprovisioned"),
            ] + Story.account.roles.map { Cell(operation: .revokeRole, resource: key, detail: $0) }
        case RespondToIncident.name:
            return [Cell(operation: .createAccount, resource: "cut off \(Story.attacked.service)")]
                + ["oncall@example.org", "security@example.org"].map {
                    Cell(operation: .sendMessage, resource: $0, detail: "incident")
                }
        case ReserveSeat.name: return [Cell(operation: .charge, resource: key), Cell(operation: .refund, resource: key)]
        default: return [Cell(operation: .charge, resource: key)]
        }
    }

    // MARK: Counted

    private func count(_ service: PeerService, into cells: inout [Cell: Int], _ report: inout DemoReport) async throws {
        let effects = try await service.ledger.effects()
        let origins = Dictionary(uniqueKeysWithValues: effects.map { ($0.id, $0.resource) })
        for effect in effects {
            let made = effect.resource.split(separator: "-").last.flatMap { Int64($0) }
            let isThing = ["charge-", "account-", "key-"].contains { effect.resource.hasPrefix($0) }
            var cell = Cell(
                operation: effect.operation, resource: isThing ? made.flatMap { origins[$0] } ?? effect.resource : effect.resource
            )
            switch effect.operation {
            case .grantRole, .revokeRole: cell.detail = effect.distinction
            case .sendMessage: cell.detail = String(effect.distinction.prefix { $0 != " " })
            default: break
            }
            cells[cell, default: 0] += 1
        }
        let requests = try await service.ledger.requests()
        report.requestsReceived += requests.count
        var sendings: [String: Int] = [:]
        for request in requests where !request.operation.isRead {
            report.addRequest(request.operation.rawValue)
            if let key = request.idempotencyKey { sendings[key, default: 0] += 1 }
        }
        report.stepsResumed += sendings.values.count { $0 > 1 }
    }

    // MARK: Histories

    private func look(at run: RunID, _ start: EngineReport, _ report: inout DemoReport) async throws {
        let info = try await client.run(run)
        report.runs += 1
        let expected = start.workflow == OnboardCustomer.name ? "failed" : "completed"
        if info.state == expected { report.runsFinished += 1 }
        let events = try await client.history(of: run)
        let head = ChainHead.start(namespace: info.namespace, run: run.description)
        if (try? EventChain.verify(events, run: run.description, from: head)) != nil { report.historiesVerified += 1 }
        report.events += events.count
        for event in events {
            let attributes = (try? event.attributes.object()) ?? JSONObject()
            switch event.kind {
            case .runResumed where attributes["clean"]?.boolValue == false: report.resumed += 1
            case .stepInDoubt, .undoInDoubt: report.inDoubt += 1
            case .stepResolved, .undoResolved:
                let by = attributes["by"]?.objectValue?["kind"]?.stringValue == "human" ? "person" : "probe"
                report.settled["\(by)_\(attributes["resolution"]?.stringValue ?? "unknown")", default: 0] += 1
            default: break
            }
        }
    }
}
