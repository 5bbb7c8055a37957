// swift-tools-version: 6.2
import PackageDescription

// The layers of docs/architecture.md, one target each: the compiler keeps the direction of the arrows.
// PERDURE_CORE=1 leaves out what needs an HTTP server or client, so that the core builds in about a minute.
// PERDURE_STRICT=1 turns warnings into errors; `make check` sets it.
// PERDURE_TESTS="PerdureSQLiteTests HouseTests" builds these test targets with what they need, and nothing else.
// PERDURE_MUTANTS=1 puts in the faults that `make mutants` switches on. No build that is used for anything else has them.
let coreOnly = Context.environment["PERDURE_CORE"] == "1"
let strict = Context.environment["PERDURE_STRICT"] == "1"
let mutants = Context.environment["PERDURE_MUTANTS"] == "1"

let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + (strict ? [.treatAllWarnings(as: .error)] : []) + (mutants ? [.define("PERDURE_MUTANTS")] : [])

let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics: [Target.Dependency] = ["Metrics", "CoreMetrics"].map { .product(name: $0, package: "swift-metrics") }
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let collections: [Target.Dependency] = ["DequeModule", "HeapModule"].map { .product(name: $0, package: "swift-collections") }
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let grdb: [Target.Dependency] = ["GRDB", "GRDBSQLite"].map { .product(name: $0, package: "GRDB.swift") }
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

func layer(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings)
}

var products: [Product] = [
    .library(name: "Perdure", targets: ["Perdure"]),
    .library(name: "PerdureEngine", targets: ["PerdureEngine"]),
    .library(name: "PerdureSQLite", targets: ["PerdureSQLite"]),
    .library(name: "PerdurePostgres", targets: ["PerdurePostgres"]),
    .library(name: "PerdureCommands", targets: ["PerdureCommands"]),
    .library(name: "PerdureTesting", targets: ["PerdureTesting"]),
    .executable(name: "perdure", targets: ["PerdureCLI"]),
]

var dependencies: [Package.Dependency] = [
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.8.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.0.0"),
]

var targets: [Target] = [
    layer("Perdure", [log]),
    layer("PerdureHistory", ["Perdure", crypto]),
    layer("PerdureStore", ["PerdureHistory"]),
    layer("PerdureStoreConformance", ["PerdureStore"]),
    layer("PerdureSQLite", ["PerdureStore", log] + grdb),
    .systemLibrary(
        name: "CPostgres", path: "Sources/CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"]), .brew(["libpq"])]),
    layer("PerdurePostgres", ["PerdureStore", "CPostgres", log]),
    layer("PerdureMemory", ["PerdureStore"]),
    layer(
        "PerdureEngine", ["Perdure", "PerdureHistory", "PerdureStore", log, lifecycle, crypto] + metrics + collections),
    layer(
        "PerdureTesting", ["Perdure", "PerdureHistory", "PerdureStore", "PerdureMemory", "PerdureEngine", log] + collections),
    layer("PerdureCommands", ["Perdure", "PerdureEngine", "PerdureSQLite", "PerdurePostgres", "PerdureTesting", argumentParser]),
    layer("PerdureProcess", []),
    layer(
        "PerdureBench",
        [
            "Perdure", "PerdureHistory", "PerdureStore", "PerdureEngine", "PerdureSQLite", "PerdurePostgres", "CPostgres",
            "PerdureProcess", log,
        ] + grdb),
    tests("PerdureTests", ["Perdure"]),
    tests("PerdureHistoryTests", ["PerdureHistory"], exclude: ["Scripts"]),
    tests("PerdureSQLiteTests", ["PerdureSQLite", "PerdureStoreConformance", log] + grdb),
    tests(
        "PerdurePostgresTests",
        ["PerdurePostgres", "PerdureEngine", "PerdureCommands", "PerdureStoreConformance", "PerdureProcess", log]),
    tests("PerdureMemoryTests", ["PerdureMemory", "PerdureStoreConformance"]),
    tests("PerdureEngineTests", ["PerdureEngine", "PerdureSQLite", "PerdureMemory", "PerdureStoreConformance"]),
    tests(
        "PerdureTestingTests",
        ["PerdureTesting", "PerdureMemory", "PerdureEngine", "PerdureSQLite", "PerdureStoreConformance"] + grdb),
    tests("PerdureCommandsTests", ["PerdureCommands"] + grdb),
    tests("PerdureBenchTests", ["PerdureCLI", "PerdureProcess"]),
    .executableTarget(
        name: "Quickstart", dependencies: ["Perdure", "PerdureEngine", "PerdureSQLite"], path: "Examples/Quickstart",
        swiftSettings: settings),
    .executableTarget(
        name: "GettingStarted", dependencies: ["Perdure", "PerdureEngine", "PerdureCommands"], path: "Examples/GettingStarted",
        swiftSettings: settings),
    .target(
        name: "DocumentedExamples",
        dependencies: [
            "Perdure", "PerdureEngine", "PerdureSQLite", "PerdurePostgres", "PerdureTesting", "PerdureCommands", log, lifecycle,
            .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        ], path: "Examples/Documents", swiftSettings: settings),
    tests(
        "HouseTests",
        ["Perdure", "PerdureEngine", "PerdureSQLite", "Quickstart", "GettingStarted", "DocumentedExamples"]),
]

if coreOnly {
    // The same program without the demo and the example workflows, which speak HTTP: operators' commands and the benchmarks.
    targets += [
        .executableTarget(
            name: "PerdureCLI",
            dependencies: [
                "PerdureCommands", "PerdureBench", "PerdureEngine", "PerdureSQLite", "PerdurePostgres", "PerdureTesting",
                "PerdureProcess", "PerdureMemory", log, argumentParser,
            ],
            exclude: ["Demo", "Dev", "Telemetry", "Process/OtherSide.swift", "Resumability", "Serve", "Examples.swift"],
            swiftSettings: settings + [.define("PERDURE_CORE")])
    ]
} else {
    let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
    let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
    dependencies += [
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.5.0"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.24.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.0"),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.0"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.0"),
    ]
    targets += [
        layer(
            "PerdureServer",
            [
                "Perdure", "PerdureHistory", "PerdureStore", "PerdureEngine", "PerdureCommands", hummingbird, log, lifecycle,
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "HTTPTypes", package: "swift-http-types"), .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "Mustache", package: "swift-mustache"), crypto, httpClient,
                .product(name: "JWTKit", package: "jwt-kit"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOCertificateReloading", package: "swift-nio-extras"),
                .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "X509", package: "swift-certificates"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
            ] + metrics, resources: [.embedInCode("Page/Web")]),
        layer(
            "PerdureTelemetry",
            [
                "Perdure", "PerdureHistory", "PerdureStore", log, lifecycle, crypto, httpClient,
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
            ]),
        layer("PerdurePeer", [hummingbird, log] + grdb),
        layer("PerdureExamples", ["Perdure", httpClient]),
        .executableTarget(
            name: "PerdureCLI",
            dependencies: [
                "PerdureCommands", "PerdureBench", "PerdureEngine", "PerdureSQLite", "PerdurePostgres", "PerdureProcess",
                "PerdureExamples", "PerdurePeer", "PerdureServer", "PerdureTelemetry", "PerdureMemory", "PerdureTesting", log,
                httpClient, argumentParser, .product(name: "CoreMetrics", package: "swift-metrics"),
            ],
            swiftSettings: settings),
        tests(
            "PerdurePeerTests",
            ["PerdurePeer", httpClient, .product(name: "HummingbirdTesting", package: "hummingbird")]),
        tests(
            "PerdureServerTests",
            [
                "PerdureServer", "PerdureCLI", "PerdureEngine", "PerdureSQLite", "PerdurePostgres", "PerdureProcess", httpClient,
                hummingbird, crypto, .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "X509", package: "swift-certificates"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "SwiftASN1", package: "swift-asn1"), .product(name: "Mustache", package: "swift-mustache"), log,
                lifecycle, .product(name: "HTTPTypes", package: "swift-http-types"),
            ] + grdb, exclude: ["Hooks/webhooks.py"]),
        tests(
            "PerdureTelemetryTests",
            [
                "PerdureTelemetry", "PerdureCLI", "PerdureSQLite", "PerdureTesting", "PerdureMemory", "PerdureEngine",
                "PerdureProcess", log, lifecycle,
            ] + metrics,
            exclude: ["Receiver/receiver.py", "Receiver/prometheus.py"]),
        // Two programs with different code, of which one is deployed in the place of the other.
        .target(name: "DeployWorld", dependencies: ["Perdure"], path: "Examples/Deploy/World", swiftSettings: settings),
        .executableTarget(
            name: "DeployBefore", dependencies: ["Perdure", "PerdureEngine", "PerdureCommands", "DeployWorld"],
            path: "Examples/Deploy/Before", swiftSettings: settings),
        .executableTarget(
            name: "DeployAfter", dependencies: ["Perdure", "PerdureEngine", "PerdureCommands", "DeployWorld"],
            path: "Examples/Deploy/After", swiftSettings: settings),
        tests(
            "PerdureDemoTests",
            [
                "PerdureCLI", "PerdureHistory", "PerdureStore", "PerdureEngine", "PerdureSQLite", "PerdurePostgres",
                "PerdureTesting",
                "PerdureProcess", "PerdureExamples", "PerdurePeer",
                "DeployBefore",
                "DeployAfter",
            ]),
    ]
}

if let chosen = Context.environment["PERDURE_TESTS"] {
    var needed: Set<String> = []
    var remaining = chosen.split(separator: " ").map(String.init)
    for name in remaining where !targets.contains(where: { $0.name == name && $0.isTest }) {
        fatalError("PERDURE_TESTS names \(name), which is no test target of this package.")
    }
    while let name = remaining.popLast() {
        guard let target = targets.first(where: { $0.name == name }), needed.insert(name).inserted else { continue }
        remaining += target.dependencies.compactMap { if case .byNameItem(let name, _) = $0 { name } else { nil } }
    }
    targets.removeAll { !needed.contains($0.name) }
    products = needed.contains("PerdureCLI") ? [.executable(name: "perdure", targets: ["PerdureCLI"])] : []
}

let package = Package(
    name: "perdure",
    platforms: [.macOS(.v15)],
    products: products,
    dependencies: dependencies,
    targets: targets,
    swiftLanguageModes: [.v6]
)
