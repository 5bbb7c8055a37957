import Testing

/// Dependencies point downwards only. The manifest says it to the compiler; this table says it to people, and a change of either
/// has to be made twice.
@Suite struct LayerTests {
    /// What every target may use: the language's own libraries.
    private static let system: Set<String> = ["Dispatch", "Foundation", "Synchronization", "Darwin", "Glibc", "Musl"]

    /// Bottom first. What stands further down in this list may be used by what stands above it in the architecture, never the other
    /// way round.
    private static let layers: [(target: String, own: Set<String>, others: Set<String>)] = [
        ("Perdure", [], ["Logging"]),
        ("PerdureHistory", ["Perdure"], ["Crypto"]),
        ("PerdureStore", ["Perdure", "PerdureHistory"], []),
        ("PerdureStoreConformance", ["Perdure", "PerdureHistory", "PerdureStore"], ["Testing"]),
        ("PerdureSQLite", ["Perdure", "PerdureHistory", "PerdureStore"], ["GRDB", "GRDBSQLite", "Logging"]),
        ("PerdurePostgres", ["Perdure", "PerdureHistory", "PerdureStore"], ["CPostgres", "Logging"]),
        ("PerdureMemory", ["Perdure", "PerdureHistory", "PerdureStore"], []),
        (
            "PerdureEngine", ["Perdure", "PerdureHistory", "PerdureStore"],
            ["Logging", "Metrics", "CoreMetrics", "ServiceLifecycle", "DequeModule", "HeapModule", "Crypto"]
        ),
        (
            "PerdureTesting", ["Perdure", "PerdureHistory", "PerdureStore", "PerdureMemory", "PerdureEngine"],
            ["Logging", "DequeModule", "HeapModule"]
        ),
        (
            "PerdureCommands",
            ["Perdure", "PerdureHistory", "PerdureStore", "PerdureEngine", "PerdureSQLite", "PerdurePostgres", "PerdureTesting"],
            ["ArgumentParser", "Logging", "ServiceLifecycle", "UnixSignals"]
        ),
        ("PerdureProcess", [], []),
        (
            "PerdureBench",
            [
                "Perdure", "PerdureHistory", "PerdureStore", "PerdureEngine", "PerdureSQLite", "PerdurePostgres",
                "PerdureProcess",
            ],
            ["CPostgres", "GRDBSQLite", "Logging"]
        ),
        (
            "PerdureServer", ["Perdure", "PerdureHistory", "PerdureStore", "PerdureEngine", "PerdureCommands"],
            [
                "AsyncHTTPClient", "Configuration", "CoreMetrics", "Crypto", "HTTPTypes", "Hummingbird", "HummingbirdCore",
                "HummingbirdTLS",
                "JWTKit",
                "Logging", "Metrics", "Mustache", "NIOCertificateReloading", "NIOCore", "NIOHTTP1", "NIOSSL", "ServiceLifecycle",
                "SwiftASN1", "X509",
            ]
        ),
        (
            "PerdureTelemetry", ["Perdure", "PerdureHistory", "PerdureStore"],
            [
                "AsyncHTTPClient", "CoreMetrics", "Crypto", "DequeModule", "GRPCCore", "GRPCNIOTransportHTTP2Posix", "Logging",
                "NIOCore", "NIOHTTP1", "ServiceLifecycle",
            ]
        ),
        ("PerdurePeer", [], ["Hummingbird", "HTTPTypes", "NIOCore", "GRDB", "Logging"]),
        ("PerdureExamples", ["Perdure"], ["AsyncHTTPClient", "NIOCore", "NIOHTTP1", "NIOFoundationCompat", "Logging"]),
        (
            "PerdureCLI",
            [
                "Perdure", "PerdureHistory", "PerdureStore", "PerdureEngine", "PerdureSQLite", "PerdurePostgres",
                "PerdureCommands",
                "PerdureTesting", "PerdureBench", "PerdureProcess", "PerdureExamples", "PerdurePeer", "PerdureServer",
                "PerdureMemory", "PerdureTelemetry",
            ],
            [
                "ArgumentParser", "AsyncHTTPClient", "CoreMetrics", "NIOCore", "NIOHTTP1", "NIOFoundationCompat", "Logging",
                "ServiceLifecycle",
                "UnixSignals",
            ]
        ),
    ]

    private struct Import {
        let place: String
        let module: String
        let attributes: String
    }

    private static func imports(of file: SourceFile) -> [Import] {
        file.code.enumerated().compactMap { index, line in
            let words = line.split(separator: " ")
            guard let start = words.firstIndex(of: "import"), let name = words.last, words[..<start].allSatisfy(isModifier) else {
                return nil
            }
            return Import(
                place: "\(file.path):\(index + 1): \(line.trimmed)", module: String(name.prefix { $0 != "." }),
                attributes: words[..<start].filter { $0.hasPrefix("@") }.joined(separator: " "))
        }
    }

    private static func isModifier(_ word: Substring) -> Bool {
        word.hasPrefix("@") || ["public", "package", "internal", "fileprivate", "private"].contains(word)
    }

    @Test("every target is in the table")
    func table() {
        #expect(Set(Repository.sources.map(\.target)) == Set(Self.layers.map(\.target)))
    }

    @Test("a target imports only what lies below it")
    func direction() {
        for layer in Self.layers {
            let allowed = Self.system.union(layer.own).union(layer.others)
            let wrong = Repository.sources.filter { $0.target == layer.target }.flatMap(Self.imports)
                .filter { !allowed.contains($0.module) }
            expectNone(wrong.map(\.place), "\(layer.target) must not import these")
        }
    }

    @Test("the own targets of the table depend on each other in its order")
    func order() {
        for (index, layer) in Self.layers.enumerated() {
            #expect(layer.own.isSubset(of: Self.layers[..<index].map(\.target)), "\(layer.target)")
        }
    }

    @Test("imports hide nothing: no re-exports, no escapes from the checks of concurrency")
    func plainImports() {
        // Without a level an import is internal here, which a test of each target's flags makes sure of. The compiler itself
        // refuses an import that is less visible than its use, and warns of one that is more visible.
        let wrong = Repository.sources.flatMap(Self.imports).filter { !$0.attributes.isEmpty }
        expectNone(wrong.map(\.place), "import without attributes")
    }

    @Test("every library target checks that its upcoming features are in force")
    func features() {
        let flags = ["NonisolatedNonsendingByDefault", "InternalImportsByDefault", "ExistentialAny", "MemberImportVisibility"]
        for target in Self.layers.map(\.target) where target != "PerdureCLI" {
            let text = Repository.text("Sources/\(target)/Features.swift") ?? ""
            for flag in flags { #expect(text.contains("!hasFeature(\(flag))"), "Sources/\(target)/Features.swift, \(flag)") }
        }
    }
}
