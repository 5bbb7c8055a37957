internal import Configuration
internal import Foundation
internal import Perdure
internal import PerdureCommands
package import PerdureHistory

/// The values that hold, and who has said so: a flag before the environment, the environment before the file, the file before what holds
/// if nobody says anything.
package struct Settings: Sendable {
    /// Where a value comes from.
    package enum Origin: Sendable, Hashable, CustomStringConvertible {
        case flag(String)
        case variable(String)
        case file(String, line: Int?)
        case standard

        package var description: String {
            switch self {
            case .flag(let name): "flag \(name)"
            case .variable(let name): "variable \(name)"
            case .file(let path, let line): "file \(path)\(line.map { ":\($0)" } ?? "")"
            case .standard: "default"
            }
        }
    }

    package enum Value: Sendable, Hashable {
        case text(String)
        case names([String])
        case number(Int)
        case yesOrNo(Bool)
        /// A length of time, and how it was written.
        case span(Duration, String)
    }

    package struct Entry: Sendable, Hashable {
        package let setting: Setting
        /// Nil where nobody has said anything, and nothing holds then.
        package let value: Value?
        package let origin: Origin
    }

    /// One for each setting, in their order.
    package let entries: [Entry]

    subscript(setting: Setting) -> Entry {
        entries.first { $0.setting == setting } ?? Entry(setting: setting, value: nil, origin: .standard)
    }

    /// - Parameters:
    ///   - flags: What stands on the command line, by the keys of the settings, as it is written.
    ///   - variables: The environment. One that is empty says nothing.
    ///   - file: The path of the file to read, if there is one on the command line.
    /// - Throws: `PerdureError` with `configuration_invalid`, which names key and source.
    package init(flags: [String: String], variables: [String: String], file: String? = nil) throws {
        let path = file ?? variables[Setting.fileVariable].flatMap { $0.isEmpty ? nil : $0 }
        let sources: [any SettingsSource] =
            [
                // The text of a flag is read as that of a variable is.
                TextSource(
                    Dictionary(
                        uniqueKeysWithValues: Setting.all.compactMap { setting in
                            flags[setting.key].map { (setting.variable, $0) }
                        })
                ) { .flag($0.flag) },
                TextSource(variables.filter { !$0.value.isEmpty }) { .variable($0.variable) },
            ] + (try path.map { [try FileSource(try SettingsFile($0))] } ?? [])
        entries = try Setting.all.map { setting in
            for source in sources { if let entry = try source.entry(for: setting) { return entry } }
            let standard = try setting.standard.map { try setting.value(of: setting.content($0), .standard) }
            return Entry(setting: setting, value: standard, origin: .standard)
        }
    }
}

/// A place where settings are.
private protocol SettingsSource: Sendable {
    func entry(for setting: Setting) throws -> Settings.Entry?
}

/// Flags and the environment: everything is text.
private struct TextSource: SettingsSource {
    private let provider: KeyMappingProvider<EnvironmentVariablesProvider>
    private let origin: @Sendable (Setting) -> Settings.Origin

    init(_ values: [String: String], _ origin: @escaping @Sendable (Setting) -> Settings.Origin) {
        provider = EnvironmentVariablesProvider(
            environmentVariables: values, secretsSpecifier: .specific([Setting.store.variable])
        ).prefixKeys(with: "perdure")
        self.origin = origin
    }

    func entry(for setting: Setting) throws -> Settings.Entry? {
        try setting.entry(origin(setting)) { try provider.value(forKey: $0, type: $1) }
    }
}

private struct FileSource: SettingsSource {
    private let file: SettingsFile
    private let snapshot: JSONSnapshot

    init(_ file: SettingsFile) throws {
        self.file = file
        snapshot = try JSONSnapshot(
            data: file.bytes.span.bytes, providerName: file.path,
            parsingOptions: .init(secretsSpecifier: .specific([Setting.store.key])))
    }

    func entry(for setting: Setting) throws -> Settings.Entry? {
        try setting.entry(.file(file.path, line: file.lines[setting.key])) { try snapshot.value(forKey: $0, type: $1) }
    }
}

extension Setting {
    private var type: ConfigType {
        switch kind {
        case .text, .span, .word: .string
        case .names: .stringArray
        case .number: .int
        case .yesOrNo: .bool
        }
    }

    fileprivate func content(_ text: String) -> ConfigContent {
        switch kind {
        case .text, .span, .word: .string(text)
        case .names: .stringArray([text])
        case .number: .int(Int(text) ?? 0)
        case .yesOrNo: .bool(text == "true")
        }
    }

    fileprivate func entry(
        _ origin: Settings.Origin, _ look: (AbsoluteConfigKey, ConfigType) throws -> LookupResult
    ) throws -> Settings.Entry? {
        let found: ConfigValue?
        do {
            found = try look(AbsoluteConfigKey(path), type).value
        } catch {
            // What it says names the key and not what would be right.
            throw refused(origin, "has to be \(expectation)")
        }
        guard let found else { return nil }
        return Settings.Entry(setting: self, value: try value(of: found.content, origin), origin: origin)
    }

    fileprivate func value(of content: ConfigContent, _ origin: Settings.Origin) throws -> Settings.Value {
        switch (kind, content) {
        case (.text, .string(let text)) where !text.isEmpty: return .text(text)
        case (.names, .stringArray(let names)) where !names.isEmpty: return .names(names)
        case (.number(let range), .int(let number)) where range.contains(number): return .number(number)
        case (.yesOrNo, .bool(let value)): return .yesOrNo(value)
        case (.word(let words), .string(let word)) where words.contains(word): return .text(word)
        case (.span(let least), .string(let text)):
            if let span = Self.span(text), span >= .seconds(least) { return .span(span, text) }
        default: break
        }
        throw refused(origin, "has to be \(expectation)")
    }

    /// A length of time as settings have it: `90s`, `15m`, `12h`, `30d`.
    package static func span(_ text: String) -> Duration? {
        guard let unit = text.last, let count = Int64(text.dropLast()), (1...1_000_000).contains(count) else { return nil }
        switch unit {
        case "s": return .seconds(count)
        case "m": return .minutes(count)
        case "h": return .hours(count)
        case "d": return .days(count)
        default: return nil
        }
    }

    /// What is said of a value names neither it nor what is in it: it may be a password at the wrong place.
    func refused(_ origin: Settings.Origin, _ what: String) -> PerdureError {
        PerdureError(
            .configurationInvalid, "'\(key)' \(what). It comes from \(origin).",
            metadata: [("key", key), ("source", origin.description)])
    }
}

extension Settings.Entry {
    /// As it may be shown: without a password.
    package var shown: String? {
        switch value {
        case nil: nil
        case .text(let text): StorePlace(text).description
        case .names(let names): names.map { StorePlace($0).description }.joined(separator: ",")
        case .number(let number): String(number)
        case .yesOrNo(let value): String(value)
        case .span(_, let text): text
        }
    }

    package var json: JSONValue {
        let source: [(String, JSONValue)] =
            switch origin {
            case .flag(let name): [("kind", "flag"), ("name", .string(name))]
            case .variable(let name): [("kind", "variable"), ("name", .string(name))]
            case .file(let path, let line):
                [("kind", "file"), ("name", .string(path))] + (line.map { [("line", JSONValue($0))] } ?? [])
            case .standard: [("kind", "default")]
            }
        let shownValue: JSONValue =
            switch value {
            case nil: .null
            case .names(let names): .array(names.map { .string(StorePlace($0).description) })
            case .number(let number): JSONValue(number)
            case .yesOrNo(let value): .bool(value)
            default: .string(shown ?? "")
            }
        return .object(
            JSONObject([("key", .string(setting.key)), ("value", shownValue), ("source", .object(JSONObject(source)))]))
    }
}
