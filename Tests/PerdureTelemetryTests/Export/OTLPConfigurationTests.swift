import Perdure
import Testing

@testable import PerdureTelemetry

@Suite struct OTLPConfigurationTests {
    private static let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"

    private static func read(_ variables: [String: String]) throws -> OTLPConfiguration? {
        try OTLPConfiguration(environment: variables)
    }

    @Test(arguments: [[:], [endpoint: ""], [endpoint: "http://x", "OTEL_SDK_DISABLED": "TRUE"], ["OTEL_SERVICE_NAME": "x"]])
    func `nothing is exported unless a receiver is named`(variables: [String: String]) throws {
        let configuration = try Self.read(variables)
        #expect(configuration?.endpoints == nil)
    }

    @Test func `one address serves all signals, each at its path`() throws {
        let configuration = try #require(try Self.read([Self.endpoint: "http://collector:4318/base/"]))
        #expect(configuration.endpoints[.traces] == .init(.http, "http://collector:4318/base/v1/traces"))
        #expect(configuration.endpoints[.logs]?.url == "http://collector:4318/base/v1/logs")
        #expect(configuration.resource.map(\.key) == ["service.instance.id", "service.name"])
        #expect(configuration.resource.last?.value == .string("perdure"))
    }

    @Test func `what is said of one signal goes before what is said of all`() throws {
        let configuration = try #require(
            try Self.read([
                Self.endpoint: "http://a:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "b:4317",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_HEADERS": "Key=a%20b, x=1",
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "k=v", "OTEL_EXPORTER_OTLP_TIMEOUT": "250", "OTEL_METRICS_EXPORTER": "none",
                "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            ]))
        #expect(
            configuration.endpoints[.traces]
                == .init(.grpc, "https://b:4317", headers: ["k": "v"], timeout: .milliseconds(250)))
        #expect(configuration.endpoints[.logs]?.headers == ["key": "a b", "x": "1"] && configuration.endpoints[.metrics] == nil)
        #expect(configuration.metricInterval == .seconds(1))
    }

    @Test func `the process is named by its service and its attributes`() throws {
        let configuration = try #require(
            try Self.read([
                Self.endpoint: "http://a", "OTEL_SERVICE_NAME": "shop",
                "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,deployment=a%2Cb",
            ]))
        #expect(configuration.resource.first == TelemetryAttribute("deployment", "a,b"))
        #expect(configuration.resource.last == TelemetryAttribute("service.name", "shop"))
    }

    @Test func `processes are told apart, unless they are given names`() throws {
        func instance(_ attributes: String = "") throws -> TelemetryAttribute.Value? {
            let configuration = try Self.read([Self.endpoint: "http://a", "OTEL_RESOURCE_ATTRIBUTES": attributes])
            return configuration?.resource.first { $0.key == "service.instance.id" }?.value
        }
        let first = try instance(), second = try instance(), named = try instance("service.instance.id=one")
        #expect(first != nil && first != second && named == .string("one"))
    }

    @Test func `the address of a signal is left as it is, and a query stays behind the path`() throws {
        let configuration = try #require(
            try Self.read([Self.endpoint: "http://a/base/?key=1", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://b/logs/"]))
        #expect(configuration.endpoints[.traces]?.url == "http://a/base/v1/traces?key=1")
        #expect(configuration.endpoints[.logs]?.url == "http://b/logs/")
    }

    @Test(arguments: [
        ["OTEL_METRICS_EXPORTER": "prometheus"], ["OTEL_TRACES_EXPORTER": "console"],
        ["OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"],
        ["OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"], ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": "/ca.pem"],
    ])
    func `what is said of a signal that nobody receives does not matter`(variables: [String: String]) throws {
        let configuration = try Self.read(variables)
        #expect(configuration?.endpoints == nil)
        let others = try Self.read(
            variables.merging([
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://a", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf",
            ]) { $1 })
        #expect(others?.endpoints.count == 1)
    }

    @Test func `what is asked for and not done is told`() throws {
        let configuration = try #require(
            try Self.read([
                Self.endpoint: "http://a", "OTEL_TRACES_EXPORTER": "zipkin", "OTEL_METRICS_EXPORTER": "prometheus, otlp",
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta", "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION": "gzip",
            ]))
        #expect(Set(configuration.endpoints.keys) == [.metrics, .logs])
        #expect(
            configuration.remarks == [
                "OTEL_TRACES_EXPORTER names an exporter that is not there: otlp and none are",
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE is passed over: sums are cumulative",
                "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION is passed over: nothing is compressed",
            ])
    }

    @Test func `host and port are an address of gRPC, encrypted unless it says otherwise`() throws {
        var variables = ["OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", Self.endpoint: "collector:4317"]
        let encrypted = try Self.read(variables)
        #expect(encrypted?.endpoints[.logs]?.url == "https://collector:4317")
        variables["OTEL_EXPORTER_OTLP_INSECURE"] = "true"
        let plain = try Self.read(variables)
        #expect(plain?.endpoints[.logs]?.url == "http://collector:4317")
    }

    @Test(arguments: [
        (endpoint, "collector:4318"), (endpoint, "ftp://x"), (endpoint, "http://name:password@x"), (endpoint, "http://x:99999"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%0D%0Ac"), ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"), ("OTEL_RESOURCE_ATTRIBUTES", "x"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=%zz"), ("OTEL_METRIC_EXPORT_INTERVAL", "-1"),
    ])
    func `what cannot be is refused with the variable's name, without its value`(name: String, value: String) throws {
        let error = #expect(throws: PerdureError.self) {
            try Self.read([Self.endpoint: "http://x"].merging([name: value]) { $1 })
        }
        #expect(error?.code == .configurationInvalid && error?.message.contains(name) == true)
        #expect(value.count == 1 || error?.message.contains(value) == false)
    }
}
