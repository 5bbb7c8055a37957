import Foundation
import Testing

/// `perdure bench` as a child process, with small numbers. That a benchmark ends well says that the work which it measured was found
/// in the store; how long it took is nobody's business here.
@Suite(.serialized) struct BenchTests {
    private struct Ended {
        let status: Int32
        let output: Data
    }

    private func bench(_ arguments: String...) async throws -> Ended {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        let process = Process(), output = Pipe()
        process.executableURL = URL(fileURLWithPath: tests).deletingLastPathComponent().appending(path: "perdure")
        process.arguments = ["bench"] + arguments
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        let (exits, exit) = AsyncStream<Int32>.makeStream()
        process.terminationHandler = { exit.yield($0.terminationStatus) }
        try process.run()
        let (texts, text) = AsyncStream<Data>.makeStream()
        Thread.detachNewThread {
            text.yield(output.fileHandleForReading.readDataToEndOfFile())
            text.finish()
        }
        var result = Data()
        for await data in texts { result = data }
        var exitIterator = exits.makeAsyncIterator()
        return Ended(status: await exitIterator.next() ?? -1, output: result)
    }

    @Test func everyBenchmarkFindsItsWorkInTheStoreAndReportsItInTheAgreedForm() async throws {
        let ended = try await bench("--quick", "--json")
        #expect(ended.status == 0)
        let list = try #require(try JSONSerialization.jsonObject(with: ended.output) as? [[String: Any]])
        let keys: Set<String> = ["id", "what", "value", "unit", "handwritten", "ratio", "cpu_ms", "syncs", "runs"]
        #expect(list.allSatisfy { Set($0.keys) == keys })
        #expect(list.allSatisfy { $0["value"] is Double && $0["what"] is String && $0["unit"] is String && $0["runs"] is Int })
        #expect(Set(list.compactMap { $0["id"] as? String }) == ["a", "b", "c", "d", "e", "f", "g", "i", "j"])
        let repeated = list.first { ($0["what"] as? String)?.hasPrefix("completed steps that were executed again") == true }
        #expect(repeated?["value"] as? Double == 0)
    }

    @Test func everyBenchmarkFindsItsWorkInADatabaseAsWell() async throws {
        let ended = try await bench("--quick", "--json", "--store", "postgres")
        #expect(ended.status == 0)
        let list = try #require(try JSONSerialization.jsonObject(with: ended.output) as? [[String: Any]])
        #expect(Set(list.compactMap { $0["id"] as? String }) == ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"])
    }

    @Test func severalNodesCannotBeMeasuredOnAnEmbeddedStore() async throws {
        #expect(try await bench("--only", "h").status == 2)
    }

    @Test func aStoreThatIsNoneIsAMistakeOfTheCaller() async throws {
        #expect(try await bench("--store", "oracle").status == 2)
        #expect(try await bench("--store", "postgres://somebody:secret@127.0.0.1/one").status == 2)
    }

    @Test func onlyTheBenchmarksThatAreAskedForAreRun() async throws {
        let ended = try await bench("--quick", "--json", "--only", "c")
        let list = try JSONSerialization.jsonObject(with: ended.output) as? [[String: Any]]
        #expect(ended.status == 0)
        #expect(list?.count == 2)
        #expect(list?.allSatisfy { $0["id"] as? String == "c" } == true)
    }

    @Test func aBenchmarkThatDoesNotExistIsAMistakeOfTheCaller() async throws {
        #expect(try await bench("--only", "z").status == 2)
    }
}
