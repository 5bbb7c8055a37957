internal import Mustache
internal import Perdure
internal import PerdureHistory

/// The templates of the page, which are compiled into the program.
struct PageTemplates: Sendable {
    private let library: MustacheLibrary

    /// - Throws: Where a template cannot be read. All of them are part of the program.
    init() throws {
        MustacheContentTypes.register(SafeText(), named: SafeText.name)
        var library = MustacheLibrary()
        for (name, bytes) in Self.files {
            // Each is told anew how to escape: a partial does not take it from where it stands.
            let text = "{{% CONTENT_TYPE:\(SafeText.name)}}" + String(decoding: bytes, as: UTF8.self)
            library.register(try MustacheTemplate(string: text), named: name)
        }
        self.library = library
    }

    func render(_ name: String, _ model: Model) -> String {
        library.render(TemplateValue(.object(model)).shown, withTemplate: name) ?? ""
    }

    /// Every template by the name that others call it by.
    static let files: [String: [UInt8]] = [
        "approval": PackageResources.approval_mustache, "approvals": PackageResources.approvals_mustache,
        "ask-item": PackageResources.ask_item_mustache, "confirm": PackageResources.confirm_mustache,
        "event": PackageResources.event_mustache, "fact": PackageResources.fact_mustache, "foot": PackageResources.foot_mustache,
        "form-guard": PackageResources.form_guard_mustache, "head": PackageResources.head_mustache,
        "history": PackageResources.history_mustache, "interventions": PackageResources.interventions_mustache,
        "nodes": PackageResources.nodes_mustache, "overview": PackageResources.overview_mustache,
        "problem": PackageResources.problem_mustache, "question": PackageResources.question_mustache,
        "replay": PackageResources.replay_mustache, "resolve": PackageResources.resolve_mustache,
        "run": PackageResources.run_mustache, "run-row": PackageResources.run_row_mustache,
        "runs": PackageResources.runs_mustache,
        "schedules": PackageResources.schedules_mustache, "sign-in": PackageResources.sign_in_mustache,
        "start": PackageResources.start_mustache,
        "state": PackageResources.state_mustache, "stuck": PackageResources.stuck_mustache,
        "stuck-item": PackageResources.stuck_item_mustache, "timeline": PackageResources.timeline_mustache,
        "workflows": PackageResources.workflows_mustache,
    ]
}

/// Escapes by bytes. The library's own way goes by characters, and lets one through that a combining mark has become part of.
struct SafeText: MustacheContentType {
    static let name = "SAFE"

    func escapeText(_ text: String) -> String {
        guard text.utf8.contains(where: Self.isSpecial) else { return text }
        var safe: [UInt8] = []
        safe.reserveCapacity(text.utf8.count + 32)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "<"): safe += "&lt;".utf8
            case UInt8(ascii: ">"): safe += "&gt;".utf8
            case UInt8(ascii: "&"): safe += "&amp;".utf8
            case UInt8(ascii: "\""): safe += "&quot;".utf8
            case UInt8(ascii: "'"): safe += "&#39;".utf8
            default: safe.append(byte)
            }
        }
        return String(decoding: safe, as: UTF8.self)
    }

    private static func isSpecial(_ byte: UInt8) -> Bool { #"<>&"'"#.utf8.contains(byte) }
}

/// A value of a model as the library asks for it.
private struct TemplateValue: MustacheParent {
    private let value: JSONValue

    init(_ value: JSONValue) { self.value = value }

    func child(named name: String) -> Any? { value[name].map { TemplateValue($0).shown } }

    var shown: Any {
        switch value {
        case .null: false
        case .bool(let flag): flag
        case .integer(let number): number
        case .unsigned, .number, .decimal: value.canonicalText
        case .string(let text): text
        case .array(let elements): elements.map { TemplateValue($0).shown }
        case .object: self
        }
    }
}
