import Foundation
import PerdureHistory
import PerdureProcess
import PerdureTesting
import Testing

/// `perdure resumability` as a child process. What it tries is tried by `StoryMatrixTests`.
@Suite(.timeLimit(.minutes(10))) struct ResumabilityTests {
    // Promise: 44
    @Test func `the program tries an example workflow and takes inventory`() async throws {
        let process = try LineProcess(executable: CrashHarness.executable, ["resumability", "take-payment-by-hand", "--json"])
        var text = Data()
        for await line in process.lines { text += line + Data("\n".utf8) }
        let status = await process.wait()
        let json = try JSONValue.parse(Array(text), what: "the output")
        #expect(status == 0)
        #expect(json["reports"]?.arrayValue?.map { $0["workflow"] } == ["take-payment-by-hand"])
        #expect((json["reports"]?.arrayValue?.first?["trials"]?.arrayValue?.count ?? 0) > 15)
        let entry = json["inventory"]?["entries"]?.arrayValue?.first
        #expect(entry?["owner"] == "payments")
        let kinds = entry?["findings"]?.arrayValue?.map { $0["kind"] }
        #expect(kinds == ["no_probe", "irreversible_without_approval"])
    }

    // Promise: 44
    @Test func `every example workflow names an owner`() async throws {
        let process = try LineProcess(executable: CrashHarness.executable, ["resumability", "--inventory", "--json"])
        var text = Data()
        for await line in process.lines { text += line + Data("\n".utf8) }
        #expect(await process.wait() == 0)
        let entries = try JSONValue.parse(Array(text), what: "the output")["inventory"]?["entries"]?.arrayValue ?? []
        #expect(entries.count == 10)
        for entry in entries { #expect(entry["owner"]?.stringValue?.isEmpty == false, "\(entry["workflow"]?.stringValue ?? "")") }
    }
}
