import Foundation
import Logging
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// How long runs stay, as operators say it, and what they do with archived histories.
@Suite(.timeLimit(.minutes(5))) struct RetentionCommandTests {
    // Promise: 46
    @Test func whatIsSetForANamespaceIsShownWithWhoSetIt() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, _ in record.state == .waiting }
            #expect(await desk.type("namespaces").output.contains("default    as configured"))
            let set = await desk.type(
                "namespaces", "set", "shop", "--keep", "90d", "--keep-tombstones", "365d", "--archive", "on", as: "bob")
            #expect(
                set.output == """
                    Namespace shop: histories stay for 90d after their runs have closed, if they are in an archive by then, and tombstones \
                    for 365d after that.

                    """)
            #expect(await desk.type("namespaces", "set", "shop", "--keep", "30d").status == .success)
            let listed = await desk.type("namespaces", "list", "--json").json?.arrayValue ?? []
            #expect(listed.map { $0["namespace"] } == ["default", "shop"])
            #expect(listed.first?["set"] == false && listed.first?["runs"] == ["waiting": 1])
            #expect(listed.last?["keep_seconds"] == 2_592_000 && listed.last?["keep_tombstones_seconds"] == 31_536_000)
            #expect(listed.last?["archive"] == true && listed.last?["changed_by"] == "ada")
            #expect(
                await desk.type("namespaces").output.contains(
                    "shop       30d            365d           on       ada             none"))
            #expect(await desk.type("namespaces", "unset", "shop").output.contains("nothing is set"))
            #expect(await desk.type("namespaces", "list", "--json").json?.arrayValue?.count == 1)
        }
    }

    @Test func whatMakesNoSenseIsRefused() async throws {
        let desk = try Desk()
        try await desk.hosting { _ in
            let nothing = await desk.type("namespaces", "set", "shop")
            #expect(nothing.status == .usage)
            #expect(await desk.type("namespaces", "set", "shop", "--keep", "soon").status == .usage)
            #expect(await desk.type("namespaces", "set", "shop", "--archive", "perhaps").status == .usage)
            #expect(await desk.type("namespaces", "set", "a/b", "--keep", "1d").status == .usage)
            #expect(await desk.type("archive", "verify").status == .usage)
            #expect(await desk.type("archive", "verify", desk.folder.path + "/nothing").status == .store)
        }
    }

    // Promise: 30
    @Test func archivedFilesAreVerifiedWithoutAStore() async throws {
        let desk = try Desk()
        let folder = desk.folder.appending(path: "archive").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var digest: JSONValue?
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "greet", #"{"name":"Ada"}"#)
            try await desk.until(run) { record, _ in record.state == .completed }
            #expect(await desk.type("namespaces", "set", "default", "--keep", "1s", "--archive", "on").status == .success)
            desk.clock.advance(by: .days(1))
            var archivist = Archivist(
                engine.client.store, archive: HistoryArchive(folder), logger: Logger(label: "perdure.test")
            ) { _ in true }
            #expect(try await archivist.round().expired == 1)
            let end = try await engine.client.history(of: try #require(RunID(run))).first
            digest = try end?.attributes.object()["archive"]
            #expect(digest != nil)
        }
        let reply = await desk.type("archive", "verify", folder)
        #expect(reply.status == .success && reply.output.contains("1 archived histories with"))
        let json = await desk.type("archive", "verify", folder, "--json").json
        let file = try #require(json?["files"]?.arrayValue?.first)
        #expect(file["sound"] == true && file["workflow"] == "greet")
        #expect(file["sha256"] == digest)
        let path = try #require(file["file"]?.stringValue)
        #expect(await desk.type("archive", "verify", path).output.contains("SHA-256"))
        let handle = try #require(FileHandle(forUpdatingAtPath: path))
        try handle.truncate(atOffset: try handle.seekToEnd() - 30)
        try handle.close()
        let bad = await desk.type("archive", "verify", folder)
        #expect(bad.status == .failed && bad.output.contains("WRONG") && bad.output.contains("1 wrong"))
    }
}
