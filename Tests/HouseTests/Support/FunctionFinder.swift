/// A function, initialiser, subscript or computed property with a body.
struct FunctionSpan {
    /// Of its first line, from 1.
    let line: Int
    let length: Int
}

/// Finds the bodies of functions by counting brackets in masked code.
enum FunctionFinder {
    private static let keywords: Set<String> = ["func", "init", "deinit", "subscript", "var"]
    /// Words that begin another statement or declaration: a function met before its body had none.
    private static let enders: Set<String> = [
        "func", "init", "deinit", "subscript", "var", "let", "case", "struct", "class", "enum", "actor", "protocol", "extension",
        "associatedtype", "typealias", "import", "if", "for", "while", "return", "guard", "switch", "public", "package",
        "private",
        "static", "mutating",
    ]

    static func functions(in code: [Substring]) -> [FunctionSpan] {
        let tokens = tokens(of: code)
        return tokens.indices.compactMap { index -> FunctionSpan? in
            guard keywords.contains(tokens[index].text), index == 0 || tokens[index - 1].text != "." else { return nil }
            return body(after: index, in: tokens).map {
                FunctionSpan(line: tokens[index].line, length: $0 - tokens[index].line + 1)
            }
        }
    }

    /// The last line of the body that belongs to the keyword, if it has one.
    private static func body(after start: Int, in tokens: [Token]) -> Int? {
        var depth = 0
        for index in (start + 1)..<max(start + 1, tokens.count) {
            let token = tokens[index]
            // The body of a property begins on its own line; anything later belongs to somebody else.
            if tokens[start].text == "var", token.line != tokens[start].line { return nil }
            switch token.text {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            case "{" where depth == 0: return end(of: index, in: tokens)
            case "}" where depth == 0: return nil
            case let word where depth == 0 && enders.contains(word): return nil
            default: break
            }
        }
        return nil
    }

    private static func end(of open: Int, in tokens: [Token]) -> Int? {
        var depth = 0
        for index in open..<tokens.count {
            if tokens[index].text == "{" { depth += 1 }
            if tokens[index].text == "}" { depth -= 1 }
            if depth == 0 { return tokens[index].line }
        }
        return nil
    }

    private struct Token {
        let text: String
        let line: Int
    }

    private static func tokens(of code: [Substring]) -> [Token] {
        code.enumerated().flatMap { index, line -> [Token] in
            var tokens: [Token] = [], word = ""
            for character in line {
                if character.isLetter || character.isNumber || character == "_" {
                    word.append(character)
                    continue
                }
                if !word.isEmpty { tokens.append(Token(text: word, line: index + 1)) }
                word = ""
                if "(){}[].".contains(character) { tokens.append(Token(text: String(character), line: index + 1)) }
            }
            if !word.isEmpty { tokens.append(Token(text: word, line: index + 1)) }
            return tokens
        }
    }
}
