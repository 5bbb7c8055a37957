import Perdure

/// Gives operations their identity: scope path, name, and which occurrence it is.
///
/// A name in a scope belongs to the task that first used it, whether or not uses overlap in time: the order in which two tasks get
/// to run must never decide which of them is which.
struct IdentityTable {
    enum Family: Hashable { case step, timer, question, scope, random, note }

    private struct Key: Hashable {
        let family: Family
        let path: String
    }

    private struct Entry {
        let task: UInt64
        var count = 0

        /// The number of this use, unless the name is another task's.
        mutating func use(by task: UInt64) -> Int? {
            guard task == self.task else { return nil }
            count += 1
            return count
        }
    }

    private var entries: [Key: Entry] = [:]

    /// The subject of the next occurrence of the name in the scope.
    mutating func next(_ family: Family, scope: String, name: String, id: String?, task: UInt64) throws(Divergence) -> String {
        let name = Name.normalized(name)
        guard Name.isOperationName(name) else {
            throw Divergence(
                .nameInvalid, subject: name,
                message:
                    "'\(name)' cannot be recorded as a name: use 1 to 128 bytes of text without '/', '#', '[', ']' and control characters."
            )
        }
        var path = scope.isEmpty ? name : scope + "/" + name
        if let id {
            let id = Name.normalized(id)
            guard Name.isKey(id) else {
                throw Divergence(
                    .nameInvalid, subject: path,
                    message: "The id of '\(path)' cannot be recorded: use 1 to 256 bytes of text without control characters.")
            }
            path += "[\(Self.escaped(id))]"
        }
        guard let count = entries[Key(family: family, path: path), default: Entry(task: task)].use(by: task) else {
            throw Divergence(
                .nameTaken, subject: path,
                message:
                    "'\(path)' is used by two tasks of this run. The order in which tasks run must not decide which is which: "
                    + "give each use an 'id:', such as the element it works on, or put it into a scope of its own.")
        }
        return count == 1 ? path : path + "#" + String(count)
    }

    /// Keeps the characters that subjects are built with out of an id.
    private static func escaped(_ id: String) -> String {
        guard id.utf8.contains(where: { "/#[]%".utf8.contains($0) }) else { return id }
        return id.unicodeScalars.reduce(into: "") { text, scalar in
            switch scalar {
            case "/": text += "%2F"
            case "#": text += "%23"
            case "[": text += "%5B"
            case "]": text += "%5D"
            case "%": text += "%25"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}
