internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

extension PageRoute {
    static let start = [
        PageRoute(.get, "/start", .view) { .view(try await $0.startPage($0.query, nil)) },
        PageRoute(.post, "/start", .start) { try await $0.start() },
    ]
}

extension PageCall {
    /// - Parameter error: Why what was filled in cannot be started.
    fileprivate func startPage(_ filled: Fields, _ error: PageStartError?) async throws -> PageView {
        let names = try await workflowNames(), workflow = filled["workflow"]
        let versions = try await client.livingNodes().flatMap(\.hosted).filter { $0.workflow == workflow }.map(\.version)
        let known = Set(versions).map { WorkflowVersion($0) }.sorted(by: >)
        let owner = workflow.flatMap { name in known.first.flatMap { workflows?.find(name, $0.description)?.owner } }
        var model: Model = [
            "hasWorkflow": .bool(workflow != nil), "workflow": .string(workflow ?? ""),
            "lead": .string(
                known.first.map { "Newest version \($0)\(owner.map { ", owned by \($0)" } ?? "")." } ?? "Nobody hosts it now."),
            "key": .string(filled["key"] ?? ""), "labels": .string(filled.text("labels") ?? ""),
            "input": .string(filled.text("input") ?? workflow.flatMap { examples[$0] } ?? "null"),
            "inputHint": .string(
                workflow.flatMap { examples[$0] } == nil
                    ? "What the workflow takes, as JSON." : "An example of what it takes. Change it."),
            "hasError": .bool(error != nil && error?.field == nil), "errorTitle": "Nothing was started",
            "errorText": .string(error?.message ?? ""),
        ]
        for field in ["input", "version", "key", "labels", "queue"] {
            model.offer("\(field)Error", error?.field == field ? error?.message : nil)
        }
        model["workflowChoices"] = .array(names.map { ["name": .string($0), "isSelected": .bool($0 == workflow)] })
        model["versionChoices"] = .array(
            known.map {
                [
                    "version": .string($0.description), "versionText": .string($0.description),
                    "isSelected": .bool($0.description == filled["version"]),
                ]
            })
        model["queueChoices"] = .array(
            try await client.queues(in: namespace).map {
                ["name": .string($0.name), "isSelected": .bool($0.name == filled["queue"])]
            })
        return PageView(
            template: "start", title: "Start a run", place: .start, status: error == nil ? .ok : .badRequest, model: model)
    }

    fileprivate func start() async throws -> PageAnswer {
        let workflow = try form.required("workflow")
        do {
            let input: Data
            do {
                input = try json("input")
            } catch {
                throw PageStartError(field: "input", message: error.flaws.first?.wish ?? error.detail)
            }
            var labels: [String: String] = [:]
            for line in (form.text("labels") ?? "").split(separator: "\n") where !line.allSatisfy(\.isWhitespace) {
                guard let (name, value) = TextRule.label(line.trimmingCharacters(in: .whitespaces)) else {
                    throw PageStartError(field: "labels", message: "'\(line)' is not name=value.")
                }
                labels[name] = value
            }
            // Without a key of its own it has that of the form, so that sent twice it is one run.
            let key = try form["key"] ?? messageID()
            let version = try await client.versionToStart(
                workflow, form["version"].map { WorkflowVersion($0) }, json: input, key: key, in: namespace, of: workflows)
            let (run, isNew) = try await client.start(
                workflow: workflow, version: version, json: input, key: key, labels: labels,
                queue: form["queue"].map { QueuePlace($0) }, by: caller)
            return .see(address(of: run), isNew ? .started : .found)
        } catch let error as PageStartError {
            return .view(try await startPage(form, error))
        } catch let error as PerdureError where Problem(error).status.kind == .clientError {
            let field: String? =
                switch error.code {
                case .inputUndecodable, .payloadTooLarge: "input"
                case .runConflict: "key"
                case .queueUnknown: "queue"
                default: nil
                }
            return .view(try await startPage(form, PageStartError(field: field, message: error.message)))
        }
    }
}

/// Why nothing was started, and which field is the cause.
struct PageStartError: Error, Sendable {
    let field: String?
    let message: String
}
