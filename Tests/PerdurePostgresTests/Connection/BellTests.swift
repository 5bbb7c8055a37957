import Foundation
import PerdureProcess
import PerdureStore
import Synchronization
import Testing

@testable import PerdurePostgres

/// Notifications between connections.
struct BellTests {
    private static let end = SQL("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = $1")

    private let name = "bell-\(UUID().uuidString)"

    /// The rings of a bell, one after the other; several that nobody waited for may be one.
    private struct Rings {
        private let stream: AsyncStream<Void>
        let watch: OutsideWatch

        init(_ bell: Bell) {
            let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            self.stream = stream
            watch = bell.onNotification { continuation.yield() }
        }

        func next() async { for await _ in stream { return } }
    }

    private func makeBell(
        _ query: String = "", port: Int? = nil, interval: Duration = .seconds(1_000_000),
        onTrouble: @escaping @Sendable (StoreError?) -> Void = { _ in }
    ) throws -> Bell {
        try Bell(try PostgresServer.address(port: port, query), interval: interval, onTrouble: onTrouble)
    }

    @Test("A bell rings once it listens, and then when another one rings it")
    func rings() async throws {
        let bell = try makeBell(), other = try makeBell()
        let rings = Rings(bell)
        bell.listen(to: name)
        await rings.next()
        for _ in 0..<3 {
            other.ring(name)
            await rings.next()
        }
        bell.stop()
        other.stop()
    }

    @Test("Two bells ring each other, and a channel that is added later is listened to as well")
    func both() async throws {
        let one = try makeBell(), two = try makeBell()
        let ringsOfOne = Rings(one), ringsOfTwo = Rings(two)
        one.listen(to: name + "\"1")
        two.listen(to: name + "\"2")
        await ringsOfOne.next()
        await ringsOfTwo.next()
        one.ring(name + "\"2")
        await ringsOfTwo.next()
        two.ring(name + "\"1")
        await ringsOfOne.next()
        two.listen(to: name + "3")
        await ringsOfTwo.next()
        one.ring(name + "3")
        await ringsOfTwo.next()
        one.stop()
        two.stop()
    }

    @Test("Names of any length and characters are channels, and long ones that differ in their ends do not ring each other")
    func longNames() async throws {
        let long = String(repeating: "ö\"'\\ ", count: 40) + name
        let bell = try makeBell(), other = try makeBell()
        let rings = Rings(bell)
        bell.listen(to: long)
        await rings.next()
        other.ring(long)
        await rings.next()
        #expect(Bell.name(long + "a") != Bell.name(long + "b") && Bell.name(long).utf8.count <= 63)
        #expect(Bell.name("short") == "short")
        bell.stop()
        other.stop()
    }

    @Test("A notification says whether it is one's own")
    func own() async throws {
        let name = name, listener = try Connection(toTestServer: ()), other = try Connection(toTestServer: ())
        try await listener.perform { session in
            try session.run("LISTEN \"\(name)\"; NOTIFY \"\(name)\"")
            #expect(session.link.nextNotification().map { "\($0)" } == "\((channel: name, isOwn: true))")
            try other.performHere { try $0.run("NOTIFY \"\(name)\"") }
            while session.link.isAlive() {
                guard let notification = session.link.nextNotification() else { continue }
                #expect(!notification.isOwn)
                break
            }
        }
    }

    @Test("A bell whose link was ended says so once, connects again, and rings, since it may have missed something")
    func lostLink() async throws {
        let name = name
        let (troubles, continuation) = AsyncStream.makeStream(of: String.self)
        let bell = try makeBell("application_name=\(name)") { continuation.yield($0?.kind ?? "healed") }, other = try makeBell()
        let rings = Rings(bell)
        bell.listen(to: name)
        await rings.next()
        let ended = try await Connection(toTestServer: ()).perform { try $0.all(Self.end, name) { try $0.bool(0) } }
        #expect(ended == [true])
        await rings.next()
        other.ring(name)
        await rings.next()
        bell.stop()
        other.stop()
        var told = troubles.makeAsyncIterator()
        #expect(await told.next() == "unavailable")
        #expect(await told.next() == "healed")
    }

    @Test("A bell tells of an absence of the server once, keeps what it is to send, and sends it when the server is back")
    func absence() async throws {
        let name = name
        let proxy = try Proxy()
        defer { proxy.stop() }
        proxy.mode = .cuttingQuestions
        let (troubles, continuation) = AsyncStream.makeStream(of: String.self)
        let bell = try makeBell(), other = try makeBell(port: proxy.port) { continuation.yield($0?.kind ?? "healed") }
        let rings = Rings(bell)
        bell.listen(to: name)
        await rings.next()
        other.ring(name)
        // As many as three attempts make, or more.
        var attempts = proxy.connections.makeAsyncIterator()
        for _ in 0..<7 { _ = await attempts.next() }
        proxy.mode = .passing
        await rings.next()
        var told = troubles.makeAsyncIterator()
        #expect(await told.next() == "unavailable")
        #expect(await told.next() == "healed")
        bell.stop()
        other.stop()
    }

    @Test("A bell rings now and then without a reason, also without a server")
    func ticks() async throws {
        let bell = try Bell(try ServerAddress("postgres://127.0.0.1:1/nowhere"), interval: .milliseconds(1))
        let rings = Rings(bell)
        for _ in 0..<3 { await rings.next() }
        bell.listen(to: name)
        for _ in 0..<3 { await rings.next() }
        bell.stop()
    }

    @Test("A bell that is ended has told others before what it was asked for, and tells them nothing afterwards")
    func end() async throws {
        let bell = try makeBell(), rings = Rings(bell)
        bell.listen(to: name)
        await rings.next()
        for _ in 0..<5 {
            // Its link has not been opened when it is told to end.
            let other = try makeBell()
            other.ring(name)
            await other.end()
            await rings.next()
            other.ring(name)
            await other.end()
        }
        await bell.end()
        await bell.end()
        try await makeBell().end()
    }

    @Test("A bell that cannot reach the server ends all the same")
    func endWithoutServer() async throws {
        let bell = try Bell(try ServerAddress("postgres://127.0.0.1:1/nowhere"))
        bell.listen(to: name)
        bell.ring(name)
        await bell.end()
    }

    @Test("Whoever has ended a watch is not called, and a bell that was stopped calls nobody")
    func ending() async throws {
        let bell = try makeBell()
        let first = Rings(bell), second = Rings(bell)
        #expect(bell.handlerCount == 2)
        first.watch.end()
        #expect(bell.handlerCount == 1)
        bell.stop()
        #expect(bell.handlerCount == 0)
        _ = bell.onNotification {}
        bell.ring(name)
        #expect(bell.handlerCount == 0)
        second.watch.end()
    }
}
