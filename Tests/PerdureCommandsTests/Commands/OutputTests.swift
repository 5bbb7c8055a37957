import Foundation
import Perdure
import PerdureCommands
import Testing

/// Output that nobody takes.
@Suite(.timeLimit(.minutes(5))) struct OutputTests {
    /// Of a file or a device, while the body works.
    private func withDescriptor(_ path: String, _ flags: Int32, _ body: (Int32) throws -> Void) throws {
        let descriptor = open(path, flags)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        try body(descriptor)
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"))) func aDeviceThatIsFullIsAnError() throws {
        try withDescriptor("/dev/full", O_WRONLY) { descriptor in
            let error = #expect(throws: PerdureError.self) { try Output.put("text", to: descriptor) }
            #expect(error?.code == .outputUnwritable && error?.message.contains("No space left") == true)
        }
    }

    @Test func aReaderThatWentAwayIsNoError() throws {
        // Otherwise the process ends.
        signal(SIGPIPE, SIG_IGN)
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let (reader, writer) = (ends[0], ends[1])
        close(reader)
        defer { close(writer) }
        #expect(throws: Never.self) { try Output.put("text", to: writer) }
    }

    @Test func everythingIsWrittenHoweverLittleIsTakenAtOnce() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let (reader, writer) = (ends[0], ends[1]), text = String(repeating: "text ", count: 100_000)
        // A pipe that does not wait takes what it has room for, and then nothing.
        try #require(fcntl(writer, F_SETFL, O_NONBLOCK) == 0)
        let thread = Thread {
            try? Output.put(text, to: writer)
            close(writer)
        }
        thread.start()
        let read = try FileHandle(fileDescriptor: reader, closeOnDealloc: true).readToEnd() ?? Data()
        #expect(read == Data(text.utf8))
    }

    @Test(arguments: [["list"], ["list", "--json"], ["start", "greet", "--input", #"{"name":"A"}"#], ["--help"]])
    func aCommandWhoseOutputIsLostSaysSo(arguments: [String]) async throws {
        let desk = try Desk()
        try #require(await desk.type("start", "greet", "--input", #"{"name":"A"}"#).status == .success)
        let reply = await desk.type(arguments) { $0.write = { _ in throw PerdureError(.outputUnwritable, "full by plan") } }
        #expect(reply.status == .store && reply.errors.contains("full by plan"))
    }
}
