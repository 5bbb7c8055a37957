internal import CPostgres
internal import Foundation
internal import Perdure
internal import PerdureStore

/// Where the server is and how to get in: a `postgres://` URL, or a list of `name=value` as libpq takes it. Several hosts may be given,
/// of which the first that can be written to is taken.
///
/// What is not given comes from where libpq looks for it: the environment (`PGPASSWORD` and the like), the password file, service files.
/// Nothing that this type says of itself or complains of has the password in it.
struct ServerAddress: Sendable, Hashable {
    /// What libpq is given, by its names. Never shown.
    private let values: [String: String]
    private let hosts: [Host]
    /// Whether statements are prepared. Not where a pooler gives every transaction another connection and knows nothing of them.
    let preparesStatements: Bool
    /// How long one host may take to let us in.
    let connectLimit: Duration

    struct Host: Sendable, Hashable {
        var name: String?
        var address: String?
        var port: String?
    }

    static let prepareOption = "perdure_prepare"

    /// - Throws: `StoreError.unusable` with a sentence that says what is wrong.
    init(_ text: String) throws(StoreError) {
        try Self.checkShape(text)
        let (rest, prepares) = Self.takingPrepareOption(from: text)
        switch prepares?.lowercased() {
        case nil, "true", "on", "yes", "1": preparesStatements = true
        case "false", "off", "no", "0": preparesStatements = false
        default: throw Self.wrong("\(Self.prepareOption) must be true or false")
        }
        var values = try Self.parsed(rest)
        hosts = try Self.hosts(of: values)
        if values["dbname"]?.contains("://") == true || rest.contains("://") && values["dbname"]?.contains("@") == true {
            throw Self.wrong("the name of the database cannot be one. In a password, write / as %2F and @ as %40")
        }
        connectLimit = try Self.connectLimit(values["connect_timeout"])
        for (name, value) in Self.defaults where values[name] == nil { values[name] = value }
        if values["target_session_attrs"] == nil, getenv("PGTARGETSESSIONATTRS") == nil {
            values["target_session_attrs"] = "read-write"
        }
        // Texts are read as UTF-8, whatever else may be wished for.
        values["client_encoding"] = "UTF8"
        self.values = values
    }

    private static let defaults = [
        "fallback_application_name": "perdure", "keepalives": "1", "keepalives_idle": "30", "keepalives_interval": "10",
        "keepalives_count": "3", "tcp_user_timeout": "15000",
    ]

    /// What to give to libpq, for one host after the other: it would wait for the first one however long that takes.
    var attempts: [[String: String]] {
        guard hosts.count > 1 else { return [values] }
        return hosts.map { host in
            var values = values
            values["host"] = host.name
            values["hostaddr"] = host.address
            values["port"] = host.port
            return values
        }
    }

    // MARK: Reading

    private static func wrong(_ what: String) -> StoreError {
        .unusable(
            .usage,
            "The address of the server cannot be used: \(what). It is postgres://USER:PASSWORD@HOST:PORT/DATABASE, or a list of NAME=VALUE."
        )
    }

    private static func checkShape(_ text: String) throws(StoreError) {
        if text.allSatisfy(\.isWhitespace) { throw wrong("it is empty") }
        if text.utf8.contains(0) { throw wrong("it holds a NUL character") }
        let scheme = text.prefix { $0.isLetter || $0.isNumber || $0 == "+" }
        if text[scheme.endIndex...].hasPrefix("://"), !["postgres", "postgresql"].contains(scheme) {
            throw wrong("it begins with another scheme than postgres://")
        }
    }

    /// Where the options of a URL begin, as libpq finds them: behind the password, which may have a question mark in it.
    private static func options(of url: String) -> String.Index? {
        guard let scheme = url.range(of: "://") else { return nil }
        var start = scheme.upperBound
        if let stop = url[start...].firstIndex(where: { $0 == "@" || $0 == "/" }), url[stop] == "@" { start = stop }
        return url[start...].firstIndex(of: "?").map { url.index(after: $0) }
    }

    /// Takes our own option out, which libpq would not know.
    private static func takingPrepareOption(from text: String) -> (String, String?) {
        guard text.hasPrefix("postgres") && text.contains("://") else {
            let match = text.firstMatch(of: #/(?:^|\s)perdure_prepare\s*=\s*(\S*)/#)
            guard let match else { return (text, nil) }
            return (text.replacingCharacters(in: match.range, with: " "), String(match.output.1))
        }
        guard let start = options(of: text) else { return (text, nil) }
        var found: String?
        let kept = text[start...].split(separator: "&").filter { option in
            guard option.hasPrefix(prepareOption + "=") else { return true }
            found = String(option.dropFirst(prepareOption.count + 1))
            return false
        }
        return (String(text[..<start]) + kept.joined(separator: "&"), found)
    }

    private static func parsed(_ text: String) throws(StoreError) -> [String: String] {
        var complaint: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(text, &complaint) else {
            defer { PQfreemem(complaint) }
            throw wrong(legible(complaint.map { String(cString: $0) } ?? "there is no memory", of: text))
        }
        defer { PQconninfoFree(options) }
        var values: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return values
    }

    /// What libpq complains of, without what it quotes: that may be the password, or half of it.
    private static func legible(_ complaint: String, of text: String) -> String {
        // The one quotation that helps: the name of an option, from a part that cannot hold a password.
        if let match = complaint.firstMatch(of: #/^invalid URI query parameter: "(\w{1,40})"\s*$/#),
            let start = options(of: text),
            !text[start...].contains("@"), !text[start...].contains("password")
        {
            return "libpq knows no option \(match.output.1)"
        }
        return complaints.first { complaint.contains($0.0) }?.1 ?? "libpq cannot read it"
    }

    private static let complaints = [
        (#"missing "=" after"#, "a part of it has no ="),
        ("unterminated quoted string", "a quotation in it does not end"),
        ("invalid connection option", "it has an option that libpq does not know"),
        ("invalid URI query parameter", "it has an option that libpq does not know"),
        ("key/value separator", "one of its options has no =, or two of them"),
        (
            "invalid percent-encoded token",
            "a % in it is not followed by two hexadecimal digits; write %25 for the character itself"
        ),
        ("forbidden value %00", "it has %00 in it"),
        ("IPv6 host address", "its IPv6 address is empty or does not end with ]"),
        ("unexpected character", "behind its host stands something else than : or /"),
    ]

    private static func hosts(of values: [String: String]) throws(StoreError) -> [Host] {
        func list(_ name: String, _ variable: String) -> [String] {
            let text = values[name] ?? getenv(variable).map { String(cString: $0) } ?? ""
            return text.isEmpty ? [] : text.split(separator: ",", omittingEmptySubsequences: false).map { String($0) }
        }
        let names = list("host", "PGHOST"), addresses = list("hostaddr", "PGHOSTADDR"), ports = list("port", "PGPORT")
        guard !names.contains(where: { $0.contains("@") }) else {
            throw wrong("the name of the host cannot be one. In a password, write @ as %40")
        }
        guard ports.allSatisfy({ port in port.isEmpty || Int(port).map { (1...65_535).contains($0) } ?? false }) else {
            throw wrong("the port is not a number from 1 to 65535. In a password, write / as %2F")
        }
        let count = max(names.count, addresses.count, 1)
        guard names.isEmpty || addresses.isEmpty || names.count == addresses.count, ports.count <= 1 || ports.count == count
        else {
            throw wrong("there are \(names.count) hosts, \(addresses.count) addresses of hosts and \(ports.count) ports")
        }
        return (0..<count).map { index in
            Host(
                name: index < names.count ? names[index] : nil, address: index < addresses.count ? addresses[index] : nil,
                port: ports.isEmpty ? nil : ports[ports.count == 1 ? 0 : index])
        }
    }

    private static func connectLimit(_ given: String?) throws(StoreError) -> Duration {
        guard let text = given ?? getenv("PGCONNECT_TIMEOUT").map({ String(cString: $0) }) else { return .seconds(10) }
        guard let seconds = Int(text), seconds < 100_000 else { throw wrong("connect_timeout is not a number of seconds") }
        // To libpq, no time is no limit; here there is always one.
        return .seconds(seconds > 0 ? seconds : 10)
    }
}

extension ServerAddress: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    var description: String {
        let user = values["user"].map { $0 + "@" } ?? ""
        let places = hosts.map { host in
            (host.name ?? host.address ?? "") + (host.port.map { $0.isEmpty ? "" : ":" + $0 } ?? "")
        }
        return "postgres://\(user)\(places.joined(separator: ","))/\(values["dbname"] ?? "")".legible
    }

    var debugDescription: String { description }

    /// Without this, `dump` and the like would show the password.
    var customMirror: Mirror { Mirror(self, children: ["address": description]) }
}
