import PerdureHistory
import Testing

/// The form in which histories travel: lines in, values out.
@Suite struct HistoryLinesTests {
    private static let run = "01a1fda0-d5ea-7b0d-9071-ee2073eaad64"

    private static func exported(_ change: (inout ExportedRun) -> Void = { _ in }) -> ExportedRun {
        var run = ExportedRun(
            id: run, namespace: "default", workflow: "ship", version: "1", state: "completed", inputDigest: "ab",
            createdAt: Timestamp(microseconds: 1))
        change(&run)
        return run
    }

    private static func events(_ drafts: [EventDraft], from head: ChainHead? = nil) -> [Event] {
        var head = head ?? exported().start
        return head.append(contentsOf: drafts, run: run, now: Timestamp(microseconds: 5))
    }

    private static let drafts = [
        EventDraft(.runStarted, attributes: ["workflow": "ship"], input: .inline(Array(#"{"note":"grüße \u0000"}"#.utf8))),
        EventDraft(.stepSucceeded, subject: "a/b[%2F]#2", attributes: ["attempt": 1], output: .inline([0xFF, 0x00])),
        EventDraft(.runCompleted, output: .inline([])),
    ]

    private static func lines(_ run: ExportedRun = exported(), _ events: [Event] = events(drafts)) -> [HistoryLine] {
        [
            .file(.init(store: "s", exportedAt: Timestamp(microseconds: 9))), .run(run),
        ] + events.map(HistoryLine.event) + [
            .runEnd(.init(events: events.count, hash: events.last?.hash ?? run.start.hash)), .fileEnd(runs: 1),
        ]
    }

    private static func read(_ texts: [String]) throws(HistoryLineError) -> [HistoryLine] {
        var reader = HistoryLines(), found: [HistoryLine] = []
        for text in texts { found.append(try reader.take(Array(text.utf8))) }
        try reader.finish()
        return found
    }

    private static func texts(_ lines: [HistoryLine]) -> [String] { lines.map { String(decoding: $0.bytes(), as: UTF8.self) } }

    @Test func whatIsWrittenIsReadAgainAsItWas() throws {
        let run = Self.exported {
            ($0.key, $0.salt, $0.closedAt, $0.note) = ("k", [1, 2], Timestamp(microseconds: 3), "a\nb")
            ($0.successor, $0.isOrphaned, $0.epoch) = (Self.run, true, 4)
        }
        #expect(try Self.read(Self.texts(Self.lines(run))) == Self.lines(run))
        #expect(Self.texts(Self.lines(run)).allSatisfy { !$0.contains("\n") })
    }

    @Test func aLargeValueStandsThereWholeOrByItsDigestAndTheChainHoldsBothWays() throws {
        let large = [UInt8](repeating: UInt8(ascii: "x"), count: StoredValue.inlineLimit + 1)
        let events = Self.events([EventDraft(.runStarted, input: .inline(large))])
        #expect(try Self.read(Self.texts(Self.lines(Self.exported(), events))).contains(.event(try #require(events.first))))
        let short = Self.lines(Self.exported(), events).map {
            String(decoding: $0.bytes(leavesOutLargeValues: true), as: UTF8.self)
        }
        #expect(short.joined().utf8.count < 3_000)
        let lines = try Self.read(short)
        guard case .event(let event)? = lines.dropFirst(2).first else { throw HistoryLineError(line: 3, "no event") }
        #expect(event.input == .spilled(digest: StoredValue.inline(large).digest, size: Int64(large.count)))
    }

    @Test func whatIsLeftOfAnExpiredRunContinuesItsLastHash() throws {
        let before = ChainHead(after: try #require(Self.events(Self.drafts).last))
        let run = Self.exported {
            $0.expired = .init(at: Timestamp(microseconds: 7), lastSeq: before.seq, lastHash: before.hash)
        }
        let end = Self.events([EventDraft(.runExpired)], from: before)
        #expect(try Self.read(Self.texts(Self.lines(run, end))) == Self.lines(run, end))
        let error = #expect(throws: HistoryLineError.self) {
            try Self.read(Self.texts(Self.lines(run, Self.events([EventDraft(.runSealed)], from: before))))
        }
        #expect(error?.line == 3)
    }

    // Promise: 27
    @Test(
        "a file that was changed is refused at the first line that is wrong",
        arguments: [
            (4, #""attempt\":1"#, #""attempt\":2"#), (4, #""hex":"ff00""#, #""hex":"ff01""#),
            (3, #""at":5"#, #""at":6"#), (4, #""seq":2"#, #""seq":3"#), (2, #""namespace":"default""#, #""namespace":"other""#),
            (4, #""subject":"a/b[%2F]#2""#, #""subject":"a""#), (6, #""events":3"#, #""events":2"#),
            (7, #""runs":1"#, #""runs":2"#),
        ])
    func changed(line: Int, from: String, to: String) throws {
        var texts = Self.texts(Self.lines())
        try #require(texts[line - 1].contains(from))
        texts[line - 1] = texts[line - 1].replacing(from, with: to)
        let error = #expect(throws: HistoryLineError.self) { try Self.read(texts) }
        // A namespace is in the start of the chain, so it shows at the first event.
        #expect(error?.line == (line == 2 ? 3 : line) && error?.isFromLater == false)
    }

    @Test("a file from which lines are missing is refused", arguments: Array(0..<7))
    func missing(line: Int) throws {
        var texts = Self.texts(Self.lines())
        texts.remove(at: line)
        let error = #expect(throws: HistoryLineError.self) { try Self.read(texts) }
        // In the place of the missing line stands the next one, or the end of the file.
        #expect(error?.line == line + 1)
    }

    @Test(
        "what cannot be a line is refused with its number",
        arguments: [
            "", "{", "[]", "{}", #"{"line":1}"#, #"{"line":"event"}"#, #"{"line":"event","seq":"1"}"#, "\u{FEFF}{}",
            #"{"line":"run","run":"x"}"#,
        ])
    func invalid(text: String) throws {
        var texts = Self.texts(Self.lines())
        texts[2] = text
        let error = #expect(throws: HistoryLineError.self) { try Self.read(texts) }
        #expect(error?.line == 3 && error?.isFromLater == false)
    }

    @Test(
        "what a later release has written is told from what is damaged",
        arguments: [
            (1, #""version":1"#, #""version":2"#), (3, "run.started", "run.started_otherwise"), (3, #""codec":1"#, #""codec":2"#),
            (3, #""line":"event""#, #""line":"proof""#),
        ])
    func later(line: Int, from: String, to: String) throws {
        var texts = Self.texts(Self.lines())
        try #require(texts[line - 1].contains(from))
        texts[line - 1] = texts[line - 1].replacing(from, with: to)
        let error = #expect(throws: HistoryLineError.self) { try Self.read(texts) }
        #expect(error?.line == line && error?.isFromLater == true)
    }

    @Test func membersThatAreNotKnownArePassedOver() throws {
        let texts = Self.texts(Self.lines()).map { $0.replacing("{\"", with: #"{"hue":[1],""#, maxReplacements: 1) }
        #expect(try Self.read(texts) == Self.lines())
    }

    @Test func aRunStandsInAFileOnce() throws {
        let lines = Self.lines()
        let error = #expect(throws: HistoryLineError.self) {
            try Self.read(Self.texts(Array(lines.dropLast()) + lines.dropFirst()))
        }
        #expect(error?.line == 7)
    }

    @Test func nothingStandsBehindTheEnd() throws {
        let lines = Self.lines()
        let error = #expect(throws: HistoryLineError.self) { try Self.read(Self.texts(lines + lines)) }
        #expect(error?.line == 8)
    }
}
