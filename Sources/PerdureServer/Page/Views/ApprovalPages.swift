internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

extension PageRoute {
    static let approvals = [
        PageRoute(.get, "/approvals", .view) { .view(try await $0.inbox()) },
        PageRoute(.get, "/approvals/{run}", .view) { .view(try await $0.approval()) },
        PageRoute(.post, "/approvals/{run}/decide", .approve) { try await $0.decide() },
        PageRoute(.get, "/questions/{run}", .view) { .view(try await $0.question()) },
        PageRoute(.post, "/questions/{run}/answer", .approve) { try await $0.answer() },
    ]
}

/// What people are asked, exactly as it would be done.
extension PageCall {
    private static let pageSize = 50
    private static let soon = Duration.seconds(3_600)

    fileprivate func inbox() async throws -> PageView {
        let after = query["after"].flatMap(Int64.init) ?? 0
        let open = try await client.openRequests(RequestQuery(namespace: namespace, after: after, limit: Self.pageSize))
        let last = open.count == Self.pageSize ? open.last?.number : nil
        let here = "\(base)/approvals"
        var model: Model = [
            "lead": .string(open.isEmpty ? "" : "Oldest first. What you see is what would be done, and what is recorded."),
            "hasFirst": .bool(after > 0), "firstHref": .string(here), "hasNext": .bool(last != nil),
            "nextHref": .string(last.map { "\(here)?after=\($0)" } ?? ""),
        ]
        var asks: [Model] = []
        for request in open { asks.append(try await card(request)) }
        model.offer("asks", asks)
        return PageView(
            template: "approvals", title: "Approvals", place: .approvals, freshness: after == 0 ? .polled(3) : .fixed,
            model: model)
    }

    private func card(_ request: OpenRequest) async throws -> Model {
        var card = ask(request)
        let attributes = (try? request.event.attributes.object()) ?? JSONObject()
        let isApproval = request.event.kind == .approvalRequested
        let starter = try await starter(of: request.run)
        card["who"] = .string(attributes["approver"]?.stringValue ?? "somebody")
        card["behalf"] = .string(starter.map { "\($0.kind.rawValue) \($0.id)" } ?? "nobody named")
        let reason = ValueText.json(request.event.input)?["irreversible"]?.stringValue
        card["isIrreversible"] = .bool(reason != nil)
        card["irreversible"] = .string(reason ?? "")
        let expiry = attributes["expires_at"]?.integerValue.map(Timestamp.init(microseconds:))
        card["hasExpiry"] = .bool(expiry != nil)
        card["expiresAt"] = expiry.map(JSONValue.init(time:)) ?? ""
        card["expiresText"] = .string(expiry.map(PageTime.short) ?? "")
        card["isSoon"] = .bool(expiry.map { $0.duration(since: now) < Self.soon } ?? false)
        card["actionText"] = .string(isApproval ? "Look and decide" : "Answer")
        let approver = attributes["approver"]?.stringValue ?? ""
        let isOwn = isApproval && starter?.mayBe(caller) == true
        card.offer(
            "hindrance", isOwn ? "You started this run: somebody else has to approve." : notAsked(approver))
        return card
    }

    /// What is said to somebody who is not among those who are asked.
    private func notAsked(_ approver: String) -> String? {
        rights.mayDecide(approver, in: namespace) ? nil : "This asks '\(approver)', and you are not among them."
    }

    /// nil also if it cannot be read: the request can be, and stands there all the same.
    private func starter(of run: RunRecord) async throws -> Principal? {
        do {
            let events = try await client.guarded { try await client.store.events(of: run.number, after: 0, limit: 1) }
            return events.first?.attribute("by").flatMap(Principal.init)
        } catch let error as PerdureError where error.isAboutOneHistory {
            return nil
        }
    }

    // MARK: One approval

    fileprivate func approval() async throws -> PageView {
        let record = try await client.record(try run()), name = query["step"] ?? ""
        let view = try await client.view(of: record.id)
        guard let approval = view.step(name)?.approval else {
            throw Problem(.notFound, "approval_unknown", "This run has asked for no approval of '\(name)'.")
        }
        let value = (try? JSONValue.parse(approval.view, what: "the view")) ?? .null
        let isOpen = view.openApprovals.contains { $0.subject == name } && approval.expires.map { now <= $0 } ?? true
        let isOwn = view.starter?.mayBe(caller) ?? false
        var model = about(record, view)
        model["step"] = .string(name)
        model["lead"] = .string(
            "\(record.workflow) wants to do this\(view.starter.map { " on behalf of \($0.kind.rawValue) \($0.id)" } ?? "")."
                + (isOpen ? " It waits until somebody decides." : ""))
        model["view"] = .string(JSONText.pretty(value))
        model["digest"] = .string(approval.digest)
        model["isIrreversible"] = .bool(value["irreversible"]?.stringValue != nil)
        model["irreversible"] = .string(value["irreversible"]?.stringValue ?? "")
        model["facts"] = .array(
            (people(record, view)
                + [
                    Self.fact("Asked of", approval.approver), Self.fact("Since", "", time: approval.requestedAt),
                    approval.expires.map { Self.fact("Until", "", time: $0, detail: "then the step fails") }
                        ?? Self.fact("Until", "no limit"),
                ]).map(JSONValue.object))
        let notAsked = notAsked(approval.approver)
        model["canDecide"] = .bool(isOpen && notAsked == nil)
        model["action"] = .string("\(base)/approvals/\(record.id)/decide")
        model["reason"] = ""
        model["consequence"] =
            "Approved, it is done as soon as the run goes on. Denied, the step fails, and the run goes on from that."
        model["isHindered"] = .bool(isOpen && (isOwn || notAsked != nil))
        model["hindrance"] = .string(
            notAsked ?? (isOwn ? "You started this run, so that you can deny it but not approve it: somebody else has to." : ""))
        model["isStale"] = .bool(query["told"] == PageNotice.stale.rawValue)
        model["isOver"] = .bool(!isOpen)
        model["overTitle"] = "This is over"
        model["overText"] = "It was decided, has expired, or is no longer needed. The history of the run says which."
        return PageView(template: "approval", title: "Approve ‘\(name)’?", place: .approvals, model: model)
    }

    private func about(_ record: RunRecord, _ view: RunView) -> Model {
        [
            "workflow": .string(record.workflow), "run": .string(record.id.description), "shortRun": .string(record.id.short),
            "runHref": .string(address(of: record.id)),
        ]
    }

    private func people(_ record: RunRecord, _ view: RunView) -> [Model] {
        [
            view.starter.map {
                Self.fact(
                    "On behalf of", "\($0.kind.rawValue) \($0.id)", detail: $0.authentication.isEmpty ? nil : $0.authentication)
            } ?? Self.fact("On behalf of", "nobody named"),
            Self.fact("Run", "\(record.workflow) \(record.version)", href: address(of: record.id)),
        ]
    }

    fileprivate func decide() async throws -> PageAnswer {
        let run = try run(), step = try form.required("step")
        let choice = try form.required("approve"), isApproval = choice == "true"
        guard isApproval || choice == "false" else {
            throw Problem(.badRequest, "form_invalid", "'approve' has to be true or false.")
        }
        do {
            try await client.decide(
                run, step: step, digest: try form.required("digest"), approve: isApproval, reason: form.text("reason"),
                id: try messageID(), by: caller
            ) { rights.mayDecide($0, in: namespace) }
        } catch let error as PerdureError where error.code == .approvalMismatch {
            return .see(Self.link("\(base)/approvals/\(run)", [("step", step)]), .stale)
        }
        return .see(address(of: run), isApproval ? .approved : .denied)
    }

    // MARK: One question

    fileprivate func question() async throws -> PageView {
        let record = try await client.record(try run()), name = query["question"] ?? ""
        let view = try await client.view(of: record.id)
        guard let question = view.questions.last(where: { $0.subject == name }) else {
            throw Problem(.notFound, "question_unknown", "This run has asked no question '\(name)'.")
        }
        return questionPage(record, view, question, answer: "", error: nil)
    }

    private func questionPage(
        _ record: RunRecord, _ view: RunView, _ question: RunView.Question, answer: String, error: String?
    ) -> PageView {
        let isOpen = view.openQuestions.contains { $0.subject == question.subject }
        var model = about(record, view)
        model["question"] = .string(question.subject)
        model["text"] = .string(question.text)
        let notAsked = notAsked(question.approver)
        model["canAnswer"] = .bool(isOpen && notAsked == nil)
        model["action"] = .string("\(base)/questions/\(record.id)/answer")
        model["answer"] = .string(answer)
        model["answerHint"] = "JSON of the type that the workflow asks for: true, 12, \"a text\" with its quotes, or an object."
        model.offer("answerError", error)
        model["isHindered"] = .bool(isOpen && notAsked != nil)
        model["hindrance"] = .string(notAsked ?? "")
        model["isOver"] = .bool(!isOpen)
        model["overTitle"] = "This is over"
        model["overText"] = "It was answered, has expired, or is no longer asked."
        model["facts"] = .array(
            (people(record, view)
                + [
                    Self.fact("Asked of", question.approver),
                    question.expires.map { Self.fact("Until", "", time: $0) } ?? Self.fact("Until", "no limit"),
                ]).map(JSONValue.object))
        return PageView(
            template: "question", title: "Question ‘\(question.subject)’", place: .approvals,
            status: error == nil ? .ok : .badRequest, model: model)
    }

    fileprivate func answer() async throws -> PageAnswer {
        let run = try run(), name = try form.required("question")
        let value: Data
        do {
            value = try json("answer")
        } catch {
            let record = try await client.record(run), view = try await client.view(of: run)
            guard let question = view.questions.last(where: { $0.subject == name }) else { throw error }
            return .view(
                questionPage(record, view, question, answer: form.text("answer") ?? "", error: error.flaws.first?.wish ?? ""))
        }
        try await client.answer(run, question: name, json: value, id: try messageID(), by: caller) {
            rights.mayDecide($0, in: namespace)
        }
        return .see(address(of: run), .answered)
    }
}
