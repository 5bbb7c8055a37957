import Foundation

// Stand-ins for the services that a real program calls.

enum Mail {
    static func send(_ text: String, key: String) async throws -> String {
        FileHandle.standardError.write(Data("mail: \(text)\n".utf8))
        return "mail-\(key.suffix(6))"
    }
}

enum Agency {
    static func handOver(_ invoice: Invoice) async throws {}
}
