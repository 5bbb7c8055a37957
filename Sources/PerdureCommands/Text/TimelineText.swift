internal import Perdure
internal import PerdureEngine
package import PerdureHistory
package import PerdureStore

/// A history as a person reads it: one line for each event, times counted from the start.
package enum TimelineText {
    package static func render(_ record: RunRecord, _ events: [Event], style: Style) -> String {
        let start = events.first?.at ?? record.createdAt
        let rows = events.map { event in Row(event, start: start) }
        let widths = (
            seq: rows.map(\.seq.count).max() ?? 1, time: rows.map(\.time.count).max() ?? 1,
            subject: min(32, rows.map(\.subject.count).max() ?? 1)
        )
        var lines = [RunText.headline(record, style: style), RunText.times(record, events, style: style), ""]
        for row in rows {
            let place = "\(row.seq.indented(to: widths.seq))  \(row.time.indented(to: widths.time))"
            lines.append("\(style.dim(place))  \(row.subject.padded(to: widths.subject))  \(row.tone.paint(row.text, style))")
        }
        if let note = record.note, !record.state.isFinal { lines += ["", style.yellow(note)] }
        return lines.joined(separator: "\n") + "\n"
    }

    package enum Tone {
        case plain, good, bad, attention

        func paint(_ text: String, _ style: Style) -> String {
            switch self {
            case .plain: text
            case .good: style.green(text)
            case .bad: style.red(text)
            case .attention: style.yellow(text)
            }
        }
    }

    private struct Row {
        let seq: String
        let time: String
        let subject: String
        let text: String
        let tone: Tone

        init(_ event: Event, start: Timestamp) {
            seq = String(event.seq)
            time = ReadableTime.offset(event.at, from: start)
            let family = event.kind.rawValue.prefix { $0 != "." }
            let isNamed = family == "undo" || family == "child"
            subject = (event.subject.isEmpty ? "run" : isNamed ? "\(family) \(event.subject)" : event.subject).shortened(to: 32)
            text = EventSentence.text(event, start: start).shortened(to: 240)
            tone = EventSentence.tone(event)
        }
    }
}

/// The lines about a run that stand above others.
enum RunText {
    static func headline(_ record: RunRecord, style: Style) -> String {
        let key = record.key.map { "  key \($0.shortened(to: 60))" } ?? ""
        return
            "\(style.bold(record.id.description))  \(record.workflow) \(record.version)\(key)  \(style.state(record.stateName))"
    }

    static func times(_ record: RunRecord, _ events: [Event], style: Style) -> String {
        let attributes = (try? events.first?.attributes.object()).flatMap { $0 }
        let parent = attributes?["parent"].flatMap(ParentLink.init).map {
            " as child '\($0.subject.shortened(to: 60))' of \($0.run)"
        }
        let by = attributes.map { " by \(ValueText.who($0))" } ?? ""
        let end = record.closedAt.map { ", took \(ReadableTime.span($0.duration(since: record.createdAt)))" } ?? ""
        return style.dim("started \(ReadableTime.point(record.createdAt))\(by)\(parent ?? "")\(end)")
    }
}
