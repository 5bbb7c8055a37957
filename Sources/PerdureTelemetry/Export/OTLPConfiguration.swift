/// Where telemetry goes, and how much of it may wait.
package struct OTLPConfiguration: Sendable {
    package enum Transport: String, Sendable, Hashable, CaseIterable {
        case http = "http/protobuf"
        case grpc
    }

    /// Where the items of one signal go.
    package struct Endpoint: Sendable, Hashable {
        package var transport: Transport
        /// Over HTTP the whole address; of gRPC its host and port.
        package var url: String
        /// Sent with each request. They may hold secrets: nothing logs them.
        package var headers: [String: String]
        /// How long a receiver may take to answer a request.
        package var timeout: Duration

        package init(
            _ transport: Transport, _ url: String, headers: [String: String] = [:], timeout: Duration = .seconds(10)
        ) {
            self.transport = transport
            self.url = url
            self.headers = headers
            self.timeout = timeout
        }
    }

    /// Signals that are not here are not exported.
    package var endpoints: [TelemetrySignal: Endpoint]
    /// What the telemetry comes from, `service.name` among it.
    package var resource: [TelemetryAttribute]
    /// The most items and bytes of one request. A larger item goes alone. Receivers over gRPC take 4 MiB if nothing else is said, with what
    /// stands around the items.
    package var batchItems = 512
    package var batchBytes = 7 << 19
    /// How long an item waits for others to go with it.
    package var delay = Duration.seconds(5)
    /// The most items and bytes of one signal that wait. What comes beyond is not taken.
    package var queueItems = 2_048
    package var queueBytes = 16 << 20
    /// How often metrics are exported.
    package var metricInterval = Duration.seconds(60)
    /// How long a batch is tried again before it is given up.
    package var patience = Duration.seconds(300)
    /// How long the end may take to send what waits.
    package var flushLimit = Duration.seconds(10)
    /// How often it is told at most what was dropped.
    package var lossInterval = Duration.seconds(60)
    /// What was asked for in the environment and is not done, as sentences.
    package var remarks: [String] = []

    package init(endpoints: [TelemetrySignal: Endpoint], resource: [TelemetryAttribute]) {
        self.endpoints = endpoints
        self.resource = resource
    }
}
