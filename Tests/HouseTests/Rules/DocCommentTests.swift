import Testing

/// Every public declaration says what it does.
@Suite struct DocCommentTests {
    /// The kind and the name of a public declaration.
    private static func declaration(in line: Substring) -> (kind: Substring, name: Substring)? {
        guard line.contains("public ") else { return nil }
        let words = line.split { $0 == " " || $0 == "(" || $0 == ":" || $0 == "<" || $0 == "=" }
        guard let start = words.firstIndex(of: "public") else { return nil }
        let kinds: Set<Substring> = [
            "struct", "class", "actor", "enum", "protocol", "func", "var", "let", "init", "subscript", "typealias", "macro",
        ]
        let modifiers: Set<Substring> = [
            "static", "final", "mutating", "nonisolated", "nonsending)", "convenience", "required", "indirect", "lazy", "private",
            "package", "set)",
        ]
        guard words[..<start].allSatisfy({ $0.hasPrefix("@") }) else { return nil }
        for index in words.index(after: start)..<words.endIndex {
            if modifiers.contains(words[index]) { continue }
            // An initialiser may be written `init?`.
            guard kinds.contains(words[index]) || words[index].hasPrefix("init") else { return nil }
            return (words[index], index + 1 < words.endIndex ? words[index + 1] : "")
        }
        return nil
    }

    /// Members that fulfil a requirement of the standard library or of a protocol: documented there.
    private static let requirements: Set<String> = [
        "description", "debugDescription", "customMirror", "hash", "encode", "errorDescription", "rawValue", "build", "next",
        "id",
    ]

    private static func isExempt(_ index: Int, name: String, in file: SourceFile, protocols: [String: Set<String>]) -> Bool {
        let line = file.lines[index]
        if requirements.contains(name) || name.hasPrefix("build") { return true }
        // Operators, literals, decoders: what they do is said by the protocol.
        let operators = ["static func <", "static func ==", "init(from decoder", "Literal value:", "Literal elements:"]
        if operators.contains(where: line.contains) { return true }
        // The code of an error has a page of its own.
        if line.contains("= Self(rawValue:") { return true }
        // What fulfils a requirement is described where it is required.
        let enclosing = file.code[..<index].last { $0.hasSuffix("{") && $0.first.map { $0.isLetter || $0 == "@" } ?? false }
        let words = enclosing?.split { " :,{".contains($0) }.map(String.init) ?? []
        return words.contains { protocols[$0]?.contains(name) ?? false }
    }

    /// The line that the comment of a declaration would end on: above its attributes.
    private static func isDocumented(_ index: Int, in file: SourceFile) -> Bool {
        var line = index - 1
        while line >= 0, file.lines[line].trimmed.hasPrefix("@") || file.lines[line].trimmed.hasPrefix(")") { line -= 1 }
        return line >= 0 && file.lines[line].trimmed.hasPrefix("///")
    }

    @Test("every public declaration has a doc comment")
    func publicDeclarations() {
        let protocols = Dictionary(Repository.sources.flatMap(Self.protocols), uniquingKeysWith: { $0.union($1) })
        for (target, files) in Dictionary(grouping: Repository.sources, by: \.target).sorted(by: { $0.key < $1.key }) {
            let missing = files.flatMap { file in
                file.code.indices.compactMap { index -> String? in
                    guard let (kind, name) = Self.declaration(in: file.code[index]) else { return nil }
                    if isUnavailable(index, in: file) || Self.isDocumented(index, in: file) { return nil }
                    if Self.isExempt(index, name: kind.hasPrefix("init") ? "init" : String(name), in: file, protocols: protocols)
                    {
                        return nil
                    }
                    return "\(file.path):\(index + 1): \(file.lines[index].trimmed)"
                }
            }
            expectNone(missing, "\(target): say in a line what these do")
        }
    }

    /// The protocols that a file declares, with their documented members.
    private static func protocols(of file: SourceFile) -> [(String, Set<String>)] {
        file.code.indices.compactMap { start in
            guard let name = file.code[start].firstMatch(of: #/^(?:public\s+)?protocol\s+(\w+)/#)?.output.1 else { return nil }
            let end = file.code[start...].firstIndex { $0.hasPrefix("}") } ?? start
            let members = (start..<end).compactMap { index in
                isDocumented(index, in: file) ? file.code[index].firstMatch(of: #/\b(?:func|var)\s+(\w+)/#)?.output.1 : nil
            }
            return (String(name), Set(members.map(String.init)))
        }
    }

    /// An overload that only exists to explain a mistake.
    private func isUnavailable(_ index: Int, in file: SourceFile) -> Bool {
        var line = index - 1
        while line >= 0 {
            let text = file.lines[line].trimmed
            if text.contains("unavailable") { return true }
            guard text.hasPrefix("@") || text.hasPrefix("message:") || text.hasPrefix(")") else { return false }
            line -= 1
        }
        return false
    }
}
