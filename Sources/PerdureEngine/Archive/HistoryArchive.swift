import Foundation
package import PerdureHistory

/// A folder in which histories are kept after they have left their store.
///
/// Each is a file of its own that says all of it, in the form of exported histories, and that nothing changes any more:
/// `NAMESPACE/CLOSING DAY/WORKFLOW/RUN.LAST EVENT.jsonl`. The folder has to be there. Several processes may write to it.
public struct HistoryArchive: Sendable {
    /// Where the folder is.
    public let path: String
    /// Called before each step of putting a file there; what it throws ends the work as the death of the process would.
    package var onStep: @Sendable (ArchiveStep) throws -> Void = { _ in }

    /// - Parameter path: A folder. It is not made, so that a disk that is not mounted is noticed: choose one below the place of the mount.
    public init(_ path: String) { self.path = path }

    /// Why nothing can be put into it now, as far as that can be told without trying.
    var trouble: String? {
        do throws(ArchiveProblem) {
            try Folders.check(path)
        } catch {
            guard case .folder(let reason) = error else { return nil }
            return reason
        }
        return access(path, W_OK | X_OK) == 0 ? nil : "the folder '\(path)' cannot be written to"
    }
}

/// What is done one after the other to put a history into an archive.
package enum ArchiveStep: String, Sendable, CaseIterable {
    case open, write, sync, check, rename, replace, syncFolders, note
}

/// Why a history is not in the archive.
package enum ArchiveProblem: Error, Sendable {
    /// Nothing can be put into the folder now.
    case folder(String)
    /// This one history cannot be, and stays where it is.
    case run(String)
    /// Another process is putting it there, or it has gone on: the next round looks again.
    case later
}

/// Where in an archive the file of a run stands: told by the run alone, whoever writes it.
package struct ArchiveName: Sendable, Hashable {
    /// Folders below the archive's own, from the outermost.
    package let folders: [String]
    package let file: String

    package static let suffix = ".jsonl"

    /// - Parameter head: The last event in the file. A history that grows after its run has closed has a file for each end that it had; and
    ///   one that is another than the store had before, as after the store was restored, has a file of its own.
    package init(namespace: String, workflow: String, run: String, closedAt: Timestamp, head: ChainHead) {
        let day = closedAt.description.prefix { $0 != "T" }
        folders = [Self.safe(namespace), Self.safe(String(day)), Self.safe(workflow)]
        file = "\(Self.safe(run)).\(head.seq).\(Hex.encode(head.hash.bytes.prefix(6)))\(Self.suffix)"
    }

    /// Names of a domain may hold anything; those of files consist of letters, digits, `-`, `_` and `.` here, do not begin with a dot,
    /// and are short. Other bytes are written as `%` with two digits.
    package static func safe(_ name: String) -> String {
        var text = ""
        for (index, byte) in name.utf8.enumerated() {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "_"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            case UInt8(ascii: ".") where index > 0: text.append(".")
            default: text += "%" + Hex.encode([byte])
            }
        }
        if text.isEmpty { return "%" }
        guard text.utf8.count > 150 else { return text }
        // Two long names that begin alike stay two.
        return text.prefix(100) + "~" + Hex.encode(SaltedDigest.plain(Array(name.utf8)).prefix(16))
    }
}
