internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// Messages that are signed with the secret of a hook (Standard Webhooks): who sends them is known by that and by nothing else.
extension API {
    private static let longestMessage = 256 << 10
    private static let idField = HTTPField.Name("webhook-id"), timeField = HTTPField.Name("webhook-timestamp")
    private static let signatureField = HTTPField.Name("webhook-signature")
    /// In place of that of a hook that there is none of, so that it takes as long to find out.
    private static let noSecret = HookSecrets(.random())
    private static let metrics = HookMetrics()

    var hooks: HookStore { HookStore(client: client) { client.store.now() } }

    /// - Parameter path: Names the namespace and the hook.
    func takeIn(_ request: Request, _ operation: Operation, _ path: [String: String]) async throws -> Answer {
        do {
            let answer = try await received(request, operation, path)
            Self.metrics.countReceived("taken")
            return answer
        } catch {
            Self.metrics.countReceived((error as? Problem)?.status == .unauthorized ? "unauthenticated" : "refused")
            throw error
        }
    }

    private func received(_ request: Request, _ operation: Operation, _ path: [String: String]) async throws -> Answer {
        try gate.admitMessage(request)
        // Neither the store nor the memory is for those who do not even look as if they had signed.
        guard let sent = only(Self.timeField, of: request), WebhookSignature.isRecent(sent, now()),
            only(Self.idField, of: request) != nil, only(Self.signatureField, of: request) != nil
        else { throw Self.unsigned }
        guard let body = try await request.bytes(atMost: Self.longestMessage) else {
            var problem = Problem(
                .contentTooLarge, "payload_too_large", "The message has more than \(Self.longestMessage) bytes.")
            problem.headers[.connection] = "close"
            throw problem
        }
        let namespace = path["namespace"] ?? "", id = path["hook"] ?? ""
        let hook = try await hooks.read(ReceivingHook.key(namespace, id), as: ReceivingHook.self)?.record
        guard let webhookID = signer(of: request, body, hook), let hook else { throw Self.unsigned }
        let message = try HookMessage(body, request.headers, webhookID: webhookID)
        let call = Call(
            client: try client.confined(to: namespace), control: client, caller: hook.actor, rights: Rights([:]), workflows: nil,
            live: live, now: now, hooks: hooks,
            hookTargets: hookTargets, path: path, query: try Query(nil, []), body: .null,
            messageID: "hook:" + HookStore.name([namespace, id, message.onceID]), lastEventID: nil, message: (hook, message))
        let digest = Hex.encode(SaltedDigest.plain(message.content.canonicalBytes))
        // Of two messages with one id, and of two with one event, one is done.
        return try await once(["message", namespace, id, webhookID], digest, operation) {
            try await once([namespace, id, message.onceID], digest, operation) { try await operation.answer(call) }
        }
    }

    /// - Returns: The id of the message, if it is signed by this hook.
    private func signer(of request: Request, _ body: [UInt8], _ hook: ReceivingHook?) -> String? {
        let now = now(), id = only(Self.idField, of: request) ?? ""
        let isSigned = WebhookSignature.isValid(
            only(Self.signatureField, of: request) ?? "", id: id, time: only(Self.timeField, of: request) ?? "", body: body,
            secrets: (hook?.secrets ?? Self.noSecret).holding(at: now), now: now)
        return isSigned ? id : nil
    }

    private func only(_ name: HTTPField.Name?, of request: Request) -> String? {
        guard let name else { return nil }
        let values = request.headers[values: name]
        return values.count == 1 ? values[0] : nil
    }

    /// Whatever is wrong with it.
    private static var unsigned: Problem {
        var problem = Problem(
            .unauthorized, "webhook_refused",
            "Nothing was done. A message has to bear webhook-id, webhook-timestamp of now, and webhook-signature, made with the secret of "
                + "a hook that is there.")
        problem.headers[.wwwAuthenticate] = "StandardWebhooks"
        return problem
    }

    private struct Refused: Error { let reason: any Error }

    /// A repeat is answered as the first one was. What is refused is not kept: whoever sends it again may have more luck, such as when the
    /// run is there by then.
    private func once(
        _ name: [String], _ digest: String, _ operation: Operation, _ work: @Sendable () async throws -> Answer
    ) async throws -> Answer {
        let records = RequestRecords(client: client, now: now)
        do {
            return try await records.answer("hook:" + HookStore.name(name), digest: digest, of: operation) {
                do { return try await work() } catch { throw Refused(reason: error) }
            }
        } catch let refused as Refused {
            throw refused.reason
        } catch let problem as Problem where problem.code == "idempotency_key_reused" {
            throw Problem(
                .unprocessableContent, "message_conflict", "Another message with this id was taken before. Nothing was done.")
        }
    }
}

extension Call {
    /// Does what a signed message asks for.
    func takeIn() async throws -> Answer {
        guard let (hook, message) = message else { throw Problem.internalError }
        switch message.wish {
        case .signal(let target, let name, let payload):
            let record = try await record(target)
            guard hook.maySignal(name, record.workflow) else { throw Self.notPermitted("send this signal to this workflow") }
            // A run that was found by its key may have gone on as another one.
            let run = if case .key = target { try await client.latestRecord(of: record.id).id } else { record.id }
            try await client.signal(run, name: name, json: Data(payload.canonicalBytes), id: messageID, by: caller)
            return .taken(run)
        case .decision(let approval, let digest, let approve, let comment):
            let record = try await client.record(approval.run)
            guard hook.mayDecide(for: record.workflow) else { throw Self.notPermitted("decide for this workflow") }
            let view = try await client.view(of: approval.run)
            if let asked = view.step(approval.step)?.approval?.approver, !hook.mayDecide(as: asked) {
                throw Self.notPermitted("decide what '\(asked)' is asked")
            }
            if let starter = view.starter, hook.isOf(starter) {
                throw Problem(
                    PerdureError(
                        .approvalNotPermitted,
                        "\(starter) started this run and has had to do with this hook, which therefore does not decide for it."))
            }
            try await client.decide(
                approval.run, step: approval.step, digest: digest, approve: approve, reason: comment, id: messageID, by: caller)
            return .taken(approval.run)
        }
    }

    private func record(_ target: HookMessage.Target) async throws -> RunRecord {
        switch target {
        case .run(let id): return try await client.record(id)
        case .key(let workflow, let key):
            guard let record = try await client.keyHolder(key, of: workflow, in: namespace) else {
                throw Problem(.notFound, "run_unknown", "There is no run of this workflow with this key.")
            }
            return record
        }
    }

    private static func notPermitted(_ what: String) -> Problem {
        Problem(.forbidden, "hook_not_permitted", "This hook was not made to \(what). Nothing was done.")
    }
}

extension Answer {
    fileprivate static func taken(_ run: RunID) -> Answer { Answer(.ok, ["run": .string(run.description), "accepted": true]) }
}
