internal import Foundation
package import Perdure

// The variables that OpenTelemetry names. One that is empty says nothing.
extension OTLPConfiguration {
    /// What the environment asks for; nil if it names no receiver: then nothing is exported.
    ///
    /// - Throws: `PerdureError` with `configuration_invalid`, which names the variable and not its value.
    package init?(environment: [String: String]) throws(PerdureError) {
        let variables = environment.filter { !$0.value.isEmpty }
        if variables["OTEL_SDK_DISABLED"]?.lowercased() == "true" { return nil }
        var endpoints: [TelemetrySignal: Endpoint] = [:], remarks: [String] = []
        for signal in TelemetrySignal.allCases { endpoints[signal] = try Self.endpoint(signal, variables, &remarks) }
        if endpoints.isEmpty { return nil }
        self.init(endpoints: endpoints, resource: try Self.resource(variables))
        self.remarks = remarks
        if let interval = try Self.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", variables) { metricInterval = interval }
    }

    // MARK: Receivers

    /// Nil where nothing is to be sent of the signal: then nothing that is said of it matters.
    private static func endpoint(
        _ signal: TelemetrySignal, _ variables: [String: String], _ remarks: inout [String]
    ) throws(PerdureError) -> Endpoint? {
        let (urlName, url) = value("ENDPOINT", signal, variables)
        guard let url, isSent(signal, variables, &remarks) else { return nil }
        try refuseWhatIsNotSupported(signal, variables, &remarks)
        let (protocolName, protocolText) = value("PROTOCOL", signal, variables)
        guard let transport = protocolText.map(Transport.init) ?? .http else {
            throw invalid(protocolName, "has to be \(Transport.allCases.map(\.rawValue).joined(separator: " or "))")
        }
        let isOfSignal = urlName.contains(signal.rawValue.uppercased())
        let isInsecure = value("INSECURE", signal, variables).value?.lowercased() == "true"
        let address = try address(url, named: urlName, transport, isInsecure: isInsecure)
        let (headersName, headers) = value("HEADERS", signal, variables)
        let (timeoutName, _) = value("TIMEOUT", signal, variables)
        return Endpoint(
            transport, transport == .http && !isOfSignal ? extended(address, by: signal.path) : address,
            headers: try headers.map { text throws(PerdureError) in try Self.headers(text, named: headersName) } ?? [:],
            timeout: try milliseconds(timeoutName, variables) ?? .seconds(10))
    }

    /// What is said of one signal goes before what is said of all.
    private static func value(
        _ name: String, _ signal: TelemetrySignal, _ variables: [String: String]
    ) -> (name: String, value: String?) {
        let own = "OTEL_EXPORTER_OTLP_\(signal.rawValue.uppercased())_\(name)", common = "OTEL_EXPORTER_OTLP_\(name)"
        return variables[own].map { (own, $0) } ?? (common, variables[common])
    }

    private static func address(
        _ text: String, named name: String, _ transport: Transport, isInsecure: Bool
    ) throws(PerdureError) -> String {
        // Of gRPC host and port alone are an address too.
        let url = transport == .grpc && !text.contains("://") ? "\(isInsecure ? "http" : "https")://\(text)" : text
        guard let parts = URLComponents(string: url), let scheme = parts.scheme?.lowercased(),
            ["http", "https"].contains(scheme),
            let host = parts.host, !host.isEmpty, parts.user == nil, parts.password == nil, parts.fragment == nil
        else { throw invalid(name, "has to be an address like http://localhost:4318, without a name or a password in it") }
        guard (parts.port ?? 1) > 0, (parts.port ?? 1) <= 65_535 else {
            throw invalid(name, "has to have a port from 1 to 65535")
        }
        return url
    }

    /// A path behind the one that is there, before what may follow it.
    private static func extended(_ address: String, by path: String) -> String {
        let end = address.firstIndex(of: "?") ?? address.endIndex, base = address[..<end]
        return (base.hasSuffix("/") ? base.dropLast() : base) + path + address[end...]
    }

    /// A list, of which one entry is enough. What there is no exporter for is told, as OpenTelemetry wants it.
    private static func isSent(
        _ signal: TelemetrySignal, _ variables: [String: String], _ remarks: inout [String]
    ) -> Bool {
        let name = "OTEL_\(signal.rawValue.uppercased())_EXPORTER"
        guard let text = variables[name] else { return true }
        let wanted = text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        // What Prometheus is to read stands at /metrics anyway.
        let known: Set<String> = signal == .metrics ? ["otlp", "none", "prometheus"] : ["otlp", "none"]
        if !known.isSuperset(of: wanted) {
            remarks.append("\(name) names an exporter that is not there: otlp and none are")
        }
        return wanted.contains("otlp")
    }

    // MARK: Values

    private static func headers(_ text: String, named name: String) throws(PerdureError) -> [String: String] {
        var headers: [String: String] = [:]
        for (key, value) in try pairs(text, named: name) {
            let isName =
                !key.isEmpty && key.utf8.allSatisfy { (0x21...0x7E).contains($0) && !"\"(),/:;<=>?@[\\]{}".utf8.contains($0) }
            guard isName, value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
                throw invalid(name, "has a header that cannot be sent")
            }
            headers[key.lowercased()] = value
        }
        return headers
    }

    private static func resource(_ variables: [String: String]) throws(PerdureError) -> [TelemetryAttribute] {
        let name = "OTEL_RESOURCE_ATTRIBUTES"
        // Several processes that count from their own beginning must not be taken for one.
        var values = ["service.name": "perdure", "service.instance.id": UUID().uuidString.lowercased()]
        if let text = variables[name] { for (key, value) in try pairs(text, named: name) { values[key] = value } }
        if let service = variables["OTEL_SERVICE_NAME"] { values["service.name"] = service }
        return values.sorted { $0.key < $1.key }.map { TelemetryAttribute($0.key, $0.value) }
    }

    /// `name=value,name=value`, percent-encoded.
    private static func pairs(_ text: String, named name: String) throws(PerdureError) -> [(key: String, value: String)] {
        var pairs: [(key: String, value: String)] = []
        for part in text.split(separator: ",") {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map {
                String($0).trimmingCharacters(in: .whitespaces)
            }
            guard halves.count == 2, !halves[0].isEmpty, let key = halves[0].removingPercentEncoding,
                let value = halves[1].removingPercentEncoding
            else { throw invalid(name, "has to be a list like name=value,name=value, percent-encoded") }
            pairs.append((key, value))
        }
        return pairs
    }

    private static func milliseconds(_ name: String, _ variables: [String: String]) throws(PerdureError) -> Duration? {
        guard let text = variables[name] else { return nil }
        guard let number = Int64(text), (1...86_400_000).contains(number) else {
            throw invalid(name, "has to be a number of milliseconds from 1 to 86400000")
        }
        return .milliseconds(number)
    }

    /// What would otherwise be passed over, and somebody relies on.
    private static func refuseWhatIsNotSupported(
        _ signal: TelemetrySignal, _ variables: [String: String], _ remarks: inout [String]
    ) throws(PerdureError) {
        for kind in ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"] {
            let (name, text) = value(kind, signal, variables)
            if text != nil { throw invalid(name, "cannot be used: the certificates of this machine are") }
        }
        let (name, compression) = value("COMPRESSION", signal, variables)
        if let compression, compression != "none" { remarks.append("\(name) is passed over: nothing is compressed") }
        let preference = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
        if signal == .metrics, let text = variables[preference]?.lowercased(), text != "cumulative" {
            remarks.append("\(preference) is passed over: sums are cumulative")
        }
    }

    private static func invalid(_ name: String, _ what: String) -> PerdureError {
        PerdureError(.configurationInvalid, "The variable \(name) \(what).", metadata: [("variable", name)])
    }
}
