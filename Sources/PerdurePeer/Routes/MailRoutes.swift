import Hummingbird

/// The mail service. What was sent is sent: there is no way back.
struct MailRoutes {
    let desk: Desk

    private struct MessageBody: Decodable {
        let to: String
        let template: String
        let text: String
    }

    private struct Made: Encodable {
        let id: String
    }

    func add(to router: Router<PeerContext>) {
        router.post("mail/messages") { request, context in
            try await desk.serve(.sendMessage, request, context, send)
        }
    }

    /// Two messages to one address are a duplicate only if template and text are the same. The ledger keeps a digest
    /// of the text, not the text.
    @Sendable private func send(_ incoming: Incoming) throws -> Desk.Order {
        let body = try incoming.body(MessageBody.self)
        let template = try Incoming.label(body.template, "template")
        return Desk.Order(
            resource: try Incoming.label(body.to, "to"), distinction: "\(template) \(BodyDigest([body.text]))"
        ) { ledger in
            let effect = try ledger.happened()
            return .done(effect: effect, Answer(json: try JSON.encode(Made(id: "\(Thing(.message, effect))"))))
        }
    }
}
