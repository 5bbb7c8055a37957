import Foundation
import HTTPTypes
import Hummingbird
import Perdure
import PerdureHistory
import PerdureProcess
import PerdureStore
import Synchronization
import Testing

@testable import PerdureServer

/// Webhooks that go out, to servers that are there.
@Suite(.timeLimit(.minutes(5))) struct HookSenderTests {
    @Test func `an event is sent once, signed, with what it is about and nothing that a run was given`() async throws {
        try await receiving { receiver in
            try await atBench { bench in
                let endpoint = try await bench.endpoint(at: receiver.address)
                let attributes = Attributes.make(
                    ("view_digest", "abc"), ("expires_at", .integer(bench.clock.now.microseconds)), ("approver", "someone"))
                let news = try bench.news(.approvalRequested, subject: "buy", attributes: attributes)
                // It is told again, before and after it was sent.
                try await bench.maker.make(of: [news])
                try await bench.maker.make(of: [news])
                await bench.sender().pass()
                try await bench.maker.make(of: [news])
                await bench.sender().pass()
                let heard = try #require(receiver.heard.first)
                #expect(receiver.heard.count == 1)
                #expect(heard.isSigned(endpoint.secrets.current, bench.clock.now) && !heard.isSigned(.random(), bench.clock.now))
                #expect(heard.field("webhook-id") == news.id && !news.id.contains("."))
                #expect(heard.field("content-type") == "application/json")
                #expect(
                    heard.json["type"] == "approval.requested" && heard.json["timestamp"] == .string(bench.clock.now.description))
                let members = heard.json["data"]?.objectValue?.keys
                #expect(members == ["approval", "digest", "expires_at", "hash", "namespace", "run", "seq", "step", "workflow"])
                #expect(heard.json["data"]?["approval"] == .string("\(news.run)/buy") && heard.json["data"]?["digest"] == "abc")
                #expect(!String(decoding: heard.body, as: UTF8.self).contains("secret input"))
                let kept = try await bench.deliveries()
                #expect(kept.count == 1 && kept.first?.state == .delivered && kept.first?.last?.status == 200)
            }
        }
    }

    @Test func `only what an endpoint wants is sent, only to those of the namespace, and only what came after it`() async throws {
        try await receiving { receiver in
            try await atBench { bench in
                let early = try bench.news(seq: 1)
                bench.clock.pass(.seconds(61))
                try await bench.endpoint(at: receiver.address, events: [.runClosed, .stepInDoubt], workflow: "greet")
                try await bench.endpoint(at: receiver.address, id: "ep-2", namespace: "default-2")
                try await bench.maker.make(of: [
                    early, bench.news(.runParked), bench.news(workflow: "other"), bench.news(.stepSucceeded, subject: "x"),
                    bench.news(namespace: "another"), bench.news(.runFailed, seq: 2),
                    bench.news(.undoInDoubt, seq: 3, subject: "a"),
                    bench.news(.runContinued, seq: 4, attributes: .make(("run", "next"))),
                ])
                await bench.sender().pass()
                let told = receiver.heard.map {
                    "\($0.json["type"]?.stringValue ?? "") \($0.json["data"]?["seq"]?.integerValue ?? 0)"
                }
                #expect(told.sorted() == ["run.closed 2", "run.closed 4", "step.in_doubt 3"])
                let continued = receiver.heard.first { $0.json["data"]?["seq"] == 4 }
                #expect(continued?.json["data"]?["state"] == "continued" && continued?.json["data"]?["continued_as"] == "next")
            }
        }
    }

    @Test func `a very long name is left out, so that a message stays short`() async throws {
        try await atBench { bench in
            let news = try bench.news(.approvalRequested, subject: String(repeating: "scope/", count: 5_000))
            let body = try JSONValue.parse(Array(news.body(.approvalRequested).utf8), what: "a body")
            #expect(body.canonicalBytes.count <= HookNews.mostBytes && body["data"]?["shortened"] == true)
            #expect(body["data"]?["run"]?.stringValue == news.run.description)
        }
    }

    @Test func `what fails is tried by the schedule under one id, then kept as failed, and then forgotten`() async throws {
        try await receiving(answer: { _ in Response(status: .internalServerError) }) { receiver in
            try await atBench { bench in
                let endpoint = try await bench.endpoint(at: receiver.address), sender = bench.sender()
                try await bench.maker.make(of: [bench.news()])
                await sender.pass()
                for (number, wait) in HookDelivery.schedule.enumerated() {
                    bench.clock.pass(wait - .seconds(1))
                    await sender.pass()
                    #expect(receiver.heard.count == number + 1)
                    bench.clock.pass(.seconds(2) + wait / 10)
                    await sender.pass()
                    #expect(receiver.heard.count == number + 2)
                    #expect(receiver.heard.last?.isSigned(endpoint.secrets.current, bench.clock.now) == true)
                }
                #expect(receiver.heard.count == 10)
                #expect(Set(receiver.heard.map { $0.field("webhook-id") }).count == 1)
                #expect(Set(receiver.heard.map(\.body)).count == 1)
                #expect(Set(receiver.heard.map { $0.field("webhook-timestamp") }).count == 10)
                let failed = try #require(try await bench.deliveries().first)
                #expect(failed.state == .failed && failed.tries == 10 && failed.last?.outcome == "it answered 500")
                bench.clock.pass(.seconds(29 * 86_400))
                await sender.pass()
                #expect(try await bench.deliveries().count == 1)
                bench.clock.pass(.seconds(86_400))
                await sender.pass()
                #expect(try await bench.deliveries().isEmpty && receiver.heard.count == 10)
            }
        }
    }

    @Test func `an endpoint of which nothing but failure is heard for five days is disabled, and one that is gone at once`()
        async throws
    {
        let status = Mutex(HTTPResponse.Status.internalServerError)
        try await receiving(answer: { _ in Response(status: status.withLock { $0 }) }) { receiver in
            try await atBench { bench in
                try await bench.endpoint(at: receiver.address)
                let sender = bench.sender()
                func tell(_ seq: Int64) async throws {
                    try await bench.maker.make(of: [bench.news(seq: seq)])
                    await sender.pass()
                }
                try await tell(1)
                #expect(try await bench.endpoint().failingSince == bench.clock.now)
                // One success in between, and it begins anew.
                bench.clock.pass(.seconds(4 * 86_400))
                status.withLock { $0 = .ok }
                await sender.pass()
                #expect(try await bench.endpoint().failingSince == nil)
                status.withLock { $0 = .badGateway }
                try await tell(2)
                bench.clock.pass(Endpoint.patience - .seconds(1))
                try await tell(3)
                #expect(try await bench.endpoint().disabled == nil)
                bench.clock.pass(.seconds(10))
                try await tell(4)
                let disabled = try await bench.endpoint()
                #expect(disabled.disabled?.reason.contains("it answered 502") == true)
                let count = receiver.heard.count
                bench.clock.pass(.seconds(86_400))
                try await tell(5)
                #expect(receiver.heard.count == count)
                let kept = try await bench.deliveries().compactMap(\.seq)
                #expect(kept == [2, 3, 4], "of what comes while it is disabled nothing is kept")
                // What waited goes on when it is enabled.
                status.withLock { $0 = .gone }
                _ = try await bench.store.change(disabled.key, as: Endpoint.self) { endpoint in
                    endpoint.enable()
                    return true
                }
                await sender.pass()
                #expect(receiver.heard.count > count)
                #expect(try await bench.endpoint().disabled?.reason == "It answered 410: it is gone.")
            }
        }
    }

    @Test func `redirections are not followed, and a wish for more time is granted`() async throws {
        let wish = HTTPField.Name.retryAfter
        try await receiving { other in
            try await receiving(answer: { heard in
                heard.json["data"]?["seq"] == 1
                    ? Response(status: .temporaryRedirect, headers: [.location: other.address])
                    : Response(status: .tooManyRequests, headers: [wish: "3600"])
            }) { receiver in
                try await atBench { bench in
                    try await bench.endpoint(at: receiver.address)
                    try await bench.maker.make(of: [bench.news(seq: 1), bench.news(seq: 2)])
                    await bench.sender().pass()
                    let kept = try await bench.deliveries()
                    #expect(other.heard.isEmpty && kept.map { $0.last?.status } == [307, 429])
                    #expect(kept.allSatisfy { $0.state == .pending })
                    #expect(kept.last?.due == bench.clock.now + .seconds(3_600))
                }
            }
        }
    }

    @Test func `who does not answer in time, or never ends the answer, has failed; a long one is not read to its end`()
        async throws
    {
        try await receiving(answer: { heard in
            guard heard.json["data"]?["seq"] != 1 else {
                try await forever()
                return Response(status: .ok)
            }
            let isEndless = heard.json["data"]?["seq"] == 3
            return Response(
                status: .ok,
                body: .init { writer in
                    try await writer.write(ByteBuffer(string: "x"))
                    if !isEndless { try await forever() }
                    let part = ByteBuffer(repeating: 0x20, count: 16_384)
                    while true { try await writer.write(part) }
                })
        }) { receiver in
            try await atBench { bench in
                try await bench.endpoint(at: receiver.address)
                try await bench.maker.make(of: [bench.news(seq: 1), bench.news(seq: 2)])
                await bench.sender(patience: .milliseconds(200)).pass()
                #expect(
                    try await bench.deliveries().map { $0.last?.outcome }
                        == Array(repeating: "it did not answer in time", count: 2))
                try await bench.maker.make(of: [bench.news(seq: 3)])
                await bench.sender().pass()
                #expect(try await bench.deliveries().last?.state == .delivered)
            }
        }
    }

    @Test func `while a secret is changed both sign`() async throws {
        try await receiving { receiver in
            try await atBench { bench in
                let old = try await bench.endpoint(at: receiver.address).secrets.current
                let changed = try await bench.store.change(Endpoint.key("default", "ep-1"), as: Endpoint.self) { endpoint in
                    endpoint.secrets.rotate(to: .random(), at: bench.clock.now)
                }
                let new = try #require(changed).secrets.current
                try await bench.maker.make(of: [bench.news(seq: 1)])
                await bench.sender().pass()
                bench.clock.pass(HookSecrets.overlap)
                try await bench.maker.make(of: [bench.news(seq: 2)])
                await bench.sender().pass()
                let early = try #require(receiver.heard.first), late = try #require(receiver.heard.last)
                let then = bench.clock.now - HookSecrets.overlap
                #expect(early.isSigned(old, then) && early.isSigned(new, then))
                #expect(!late.isSigned(old, bench.clock.now) && late.isSigned(new, bench.clock.now))
            }
        }
    }
}

/// Several processes, and processes that die.
@Suite(.timeLimit(.minutes(5))) struct HookCrashTests {
    @Test func `what a process has made another one sends, and what it may have sent is sent again under its id`() async throws {
        try await receiving { receiver in
            try await atBench { bench in
                try await bench.endpoint(at: receiver.address)
                try await bench.maker.make(of: [bench.news()])
                // It takes the delivery, sends it, and dies before it has recorded that.
                let due = try await bench.store.due(
                    HookDelivery.kind(of: "ep-1"), by: bench.clock.now, limit: 1, as: HookDelivery.self)
                let held = try #require(due.first)
                var delivery = held.record
                delivery.take(by: "who dies", at: bench.clock.now)
                _ = try #require(try await bench.store.write(delivery, on: held))
                let sender = bench.sender()
                await sender.pass()
                #expect(receiver.heard.isEmpty, "as long as somebody may be at it nobody else is")
                bench.clock.pass(HookDelivery.lease)
                await sender.pass()
                #expect(receiver.heard.map { $0.field("webhook-id") } == [delivery.id])
                #expect(try await bench.deliveries().first?.state == .delivered)
                // Who was thought dead and records it after all changes nothing.
                delivery.finish(.failed(.tooLate), at: bench.clock.now, jitter: 0)
                #expect(try await bench.store.write(delivery, on: held) == nil)
            }
        }
    }

    @Test func `several processes at once send everything once, and never more than four at a time to one endpoint`() async throws
    {
        let state = Mutex((now: 0, most: 0)), (gate, opener) = AsyncStream.makeStream(of: Void.self)
        try await receiving(answer: { _ in
            let isFull = state.withLock { state in
                state.now += 1
                state.most = max(state.most, state.now)
                return state.now >= HookSender.mostAtOnce
            }
            // The first ones wait until so many are here at once.
            if isFull { opener.finish() } else { for await _ in gate {} }
            state.withLock { $0.now -= 1 }
            return Response(status: .ok)
        }) { receiver in
            try await atBench { bench in
                try await bench.endpoint(at: receiver.address)
                try await bench.maker.make(of: (1...30).map { try bench.news(seq: $0) })
                await bench.sender().pass()
                #expect(state.withLock { $0.most } == HookSender.mostAtOnce)
                try await bench.maker.make(of: (31...90).map { try bench.news(seq: $0) })
                await withTaskGroup { group in
                    for _ in 0..<3 { group.addTask { await bench.sender().pass() } }
                }
                let ids = receiver.heard.map { $0.field("webhook-id") }
                #expect(ids.count == 90 && Set(ids).count == 90)
            }
        }
    }

    @Test func `a sender ends while an endpoint keeps it waiting, and what it broke off is tried again at once`() async throws {
        let isSlow = Mutex(true)
        try await receiving(answer: { _ in
            if isSlow.withLock({ $0 }) { try await forever() }
            return Response(status: .ok)
        }) { receiver in
            try await atBench { bench in
                try await bench.endpoint(at: receiver.address)
                try await bench.maker.make(of: [bench.news()])
                let begun = ContinuousClock.now
                await withTaskGroup { group in
                    group.addTask { try? await bench.sender().run() }
                    await receiver.until(1)
                    group.cancelAll()
                }
                // Long before the exchange would have been given up.
                #expect(begun.duration(to: .now) < HookPoster.patience)
                isSlow.withLock { $0 = false }
                await bench.sender().pass()
                #expect(receiver.heard.count == 2 && Set(receiver.heard.map { $0.field("webhook-id") }).count == 1)
                #expect(try await bench.deliveries().map(\.state) == [.delivered])
            }
        }
    }

    @Test func `what was to go to an endpoint that is removed goes with it`() async throws {
        try await receiving { receiver in
            try await atBench { bench in
                let endpoint = try await bench.endpoint(at: receiver.address)
                try await bench.maker.make(of: [bench.news()])
                _ = try await bench.store.change(endpoint.key, as: Endpoint.self) { endpoint in
                    endpoint.removed = bench.clock.now
                    return true
                }
                // Somebody who has read the endpoint before makes one more.
                try await bench.maker.make(of: [bench.news(seq: 8)])
                await bench.sender().pass()
                #expect(try await bench.deliveries().isEmpty && receiver.heard.isEmpty)
                bench.clock.pass(.seconds(86_400))
                await bench.sender().pass()
                #expect(try await bench.store.read(endpoint.key, as: Endpoint.self) == nil)
            }
        }
    }
}

/// Nobody reaches through us what he could not reach himself.
@Suite(.timeLimit(.minutes(5))) struct HookTargetTests {
    @Test func `a name that changes its mind is not reached`() async throws {
        try await receiving { receiver in
            try await atBench { bench in
                let asked = Mutex(0)
                // The system would say that this name is this machine, where somebody listens.
                try await bench.endpoint(at: "https://localhost.example:\(receiver.port)/")
                try await bench.endpoint(at: "http://LOCALHOST:\(receiver.port)/", id: "ep-2")
                try await bench.maker.make(of: [bench.news()])
                let sender = bench.sender(
                    addresses: { name in
                        asked.withLock { $0 += 1 }
                        return ["169.254.169.254", "10.0.0.1", "::ffff:127.0.0.1"].compactMap { IPAddress($0) }
                    })
                await sender.pass()
                #expect(receiver.heard.isEmpty && asked.withLock { $0 } == 2)
                for id in ["ep-1", "ep-2"] {
                    let outcome = try await bench.deliveries(of: id).first?.last?.outcome
                    #expect(outcome == HookOutcome.Failure.refused.rawValue)
                }
            }
        }
    }

    @Test func `the connection goes to the address that was checked, whatever its name leads to`() async throws {
        try await receiving(host: "127.0.0.1") { wrong in
            try await receiving(host: "127.0.0.2", port: wrong.port) { right in
                try await atBench { bench in
                    // Both are there. The system would lead to the first one.
                    try await bench.endpoint(at: "http://LocalHost:\(wrong.port)/x?y=z")
                    try await bench.maker.make(of: [bench.news()])
                    let asked = Mutex<[String]>([])
                    await bench.sender(
                        addresses: { name in
                            asked.withLock { $0.append(name) }
                            return ["10.0.0.1", "127.0.0.2"].compactMap { IPAddress($0) }
                        }
                    ).pass()
                    #expect(wrong.heard.isEmpty && right.heard.count == 1 && asked.withLock { $0 } == ["localhost"])
                }
            }
        }
    }

    @Test func `over TLS a certificate of the name is asked for, and whoever has none is told nothing`() async throws {
        try await withFolder { folder in
            let key = folder.appending(path: "key.pem").path, certificate = folder.appending(path: "cert.pem").path
            let making = try LineProcess(
                executable: "/usr/bin/env",
                [
                    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                    key, "-out", certificate, "-subj", "/CN=hooks.example",
                ], isHeard: false)
            #expect(await making.wait() == 0)
            let other = try LineProcess(
                executable: "/usr/bin/env",
                [
                    "openssl", "s_server", "-accept", "127.0.0.1:0", "-key", key, "-cert", certificate, "-tlsextdebug",
                ], isHeard: false)
            defer { other.kill() }
            var port: String?
            for await line in other.lines {
                port = String(decoding: line, as: UTF8.self).firstMatch(of: #/^ACCEPT .*:(\d+)/#).map { String($0.output.1) }
                if port != nil { break }
            }
            let address = "https://hooks.example:\(try #require(port))/"
            try await atBench { bench in
                try await bench.endpoint(at: address)
                try await bench.maker.make(of: [bench.news()])
                await bench.sender(addresses: { _ in [IPAddress("127.0.0.1")].compactMap(\.self) }).pass()
                let outcome = try await bench.deliveries().first?.last?.outcome
                #expect(outcome == HookOutcome.Failure.unreachable.rawValue)
            }
            other.kill()
            var said = ""
            for await line in other.lines { said += String(decoding: line, as: UTF8.self) + "\n" }
            // It was asked for by its name, though the connection went to an address.
            #expect(said.contains("\"server name\"") && said.contains("hooks.examp") && !said.contains("POST"), "\(said)")
        }
    }

    @Test func `an endpoint that was allowed when it was made is not reached where it is not any more`() async throws {
        try await receiving { receiver in
            try await atBench { bench in
                try await bench.endpoint(at: receiver.address)
                try await bench.endpoint(at: "https://name.example:\(receiver.port)/", id: "ep-2")
                try await bench.maker.make(of: [bench.news()])
                await bench.sender(.everybodys, addresses: { _ in [IPAddress("127.0.0.1")].compactMap(\.self) }).pass()
                #expect(receiver.heard.isEmpty)
                #expect(try await bench.deliveries().first?.last?.outcome == HookOutcome.Failure.refused.rawValue)
                #expect(try await bench.deliveries(of: "ep-2").first?.last?.outcome == HookOutcome.Failure.refused.rawValue)
            }
        }
    }

    @Test func `a name without an address is a failure, and the system is asked for others`() async throws {
        #expect(try await HookResolver.addresses(of: "localhost").contains { $0.reach == .machine })
        // Notations that only the system reads are addresses all the same.
        #expect(try await HookResolver.addresses(of: "127.1") == [IPAddress("127.0.0.1")])
        try await atBench { bench in
            try await bench.endpoint(at: "https://name.example/")
            try await bench.maker.make(of: [bench.news()])
            await bench.sender(addresses: { _ in [] }).pass()
            #expect(try await bench.deliveries().first?.last?.outcome == HookOutcome.Failure.unresolved.rawValue)
        }
    }
}
