/// Takes the lines of a file of histories one after the other, and checks each against those before: their order, and every chain. Lines
/// in, values out.
package struct HistoryLines: Sendable {
    private enum Place: Hashable {
        case beginning
        case betweenRuns
        case inRun
        case end
    }

    /// Number of the last line taken, from 1.
    package private(set) var number = 0
    /// What the file says of itself, once its first line is read.
    package private(set) var file: HistoryLine.File?
    private var place = Place.beginning
    private var runs = 0
    private var ids: Set<String> = []
    private var run: ExportedRun?
    private var head = ChainHead.start(namespace: "", run: "")
    private var events = 0

    package init() {}

    /// Takes the next line, without its line break.
    /// - Throws: A ``HistoryLineError`` with the line's number. Nothing behind it should be taken.
    package mutating func take(_ bytes: [UInt8]) throws(HistoryLineError) -> HistoryLine {
        number += 1
        guard place != .end else { throw wrong("it stands behind the end of the file's histories") }
        let line = try HistoryLine(bytes, number: number)
        switch line {
        case .file(let file):
            guard place == .beginning else { throw wrong("it is the beginning of another file") }
            self.file = file
            place = .betweenRuns
        case .run(let run): try begin(run)
        case .event(let event): try add(event)
        case .runEnd(let end): try finish(end)
        case .fileEnd(let count):
            try require(.betweenRuns, "end of the file")
            guard count == runs else { throw wrong("it ends a file of \(count) runs, but \(runs) stand before it") }
            place = .end
        }
        return line
    }

    /// To be called behind the last line.
    /// - Throws: A ``HistoryLineError`` if the file was cut off.
    package func finish() throws(HistoryLineError) {
        guard place != .end else { return }
        throw HistoryLineError(line: number + 1, "the file ends here, before its end line: it was cut off")
    }

    private func wrong(_ reason: String) -> HistoryLineError { HistoryLineError(line: number, reason) }

    private func require(_ expected: Place, _ what: String) throws(HistoryLineError) {
        guard place != expected else { return }
        let reason =
            switch place {
            case .beginning: "the file does not begin with the line 'file'"
            case .betweenRuns: "it is an \(what), but no run has begun"
            case .inRun: "it is a \(what), but the run before has not ended: lines are missing"
            case .end: "it stands behind the end of the file's histories"
            }
        throw wrong(reason)
    }

    private mutating func begin(_ run: ExportedRun) throws(HistoryLineError) {
        try require(.betweenRuns, "run")
        guard ids.insert(run.id).inserted else { throw wrong("run \(run.id) stands in the file a second time") }
        self.run = run
        head = run.start
        events = 0
        place = .inRun
    }

    private mutating func add(_ event: Event) throws(HistoryLineError) {
        try require(.inRun, "event")
        do throws(ChainBreak) {
            head = try EventChain.verify(CollectionOfOne(event), run: run?.id ?? "", from: head)
        } catch {
            throw wrong(error.description)
        }
        if run?.expired != nil, event.kind != .runExpired || events > 0 {
            throw wrong("an expired run has nothing but its event run.expired, and this is \(event.kind.rawValue)")
        }
        events += 1
    }

    private mutating func finish(_ end: HistoryLine.RunEnd) throws(HistoryLineError) {
        try require(.inRun, "end of a run")
        guard end.events == events, end.hash == head.hash else {
            throw wrong("it ends a run of \(end.events) events, but \(events) stand before it, or others: lines are missing")
        }
        runs += 1
        run = nil
        place = .betweenRuns
    }
}
