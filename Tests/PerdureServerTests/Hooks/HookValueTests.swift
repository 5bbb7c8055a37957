import Foundation
import Perdure
import PerdureHistory
import Testing

@testable import PerdureServer

/// Signatures, addresses and schedules: what webhooks rest on, without input and output.
@Suite struct HookValueTests {
    private static let now = Timestamp(microseconds: 1_614_265_330_000_000)

    @Test func `a signature is the one of the example in the specification`() throws {
        let secret = try #require(HookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
        let body = Array(#"{"test": 2432232314}"#.utf8), id = "msg_p5jXN8AQM9LWM0D4loKWxJek"
        let field = WebhookSignature.field(id: id, time: 1_614_265_330, body: body, secrets: [secret])
        #expect(field == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        let other = "v1,AAAA v1a,xyz v2,\(field) nonsense"
        func isValid(
            _ field: String, id: String = id, time: String = "1614265330", _ body: [UInt8] = body,
            secrets: [HookSecret] = [secret],
            now: Timestamp = Self.now
        ) -> Bool {
            WebhookSignature.isValid(field, id: id, time: time, body: body, secrets: secrets, now: now)
        }
        #expect(isValid(field) && isValid("\(other) \(field)") && isValid(field, secrets: [.random(), secret]))
        #expect(!isValid(other) && !isValid("") && !isValid(String(field.dropLast())) && !isValid(field, secrets: [.random()]))
        #expect(!isValid(field, id: "other") && !isValid(field, time: "1614265331") && !isValid(field, body + [0x20]))
        #expect(isValid(field, now: Self.now + .seconds(300)) && isValid(field, now: Self.now - .seconds(300)))
        #expect(!isValid(field, now: Self.now + .seconds(301)) && !isValid(field, now: Self.now - .seconds(301)))
    }

    @Test func `another split of what was signed is not signed`() throws {
        let secret = HookSecret.random()
        let field = WebhookSignature.field(id: "a", time: 1_614_265_330, body: Array("1614265330.x".utf8), secrets: [secret])
        #expect(
            !WebhookSignature.isValid(
                field, id: "a.1614265330", time: "1614265330", body: Array("x".utf8), secrets: [secret], now: Self.now))
        for time in ["+1614265330", "1614265330 ", "", "1614265330.0", "99999999999999999999"] {
            let signed = WebhookSignature.field(id: "a", time: 1_614_265_330, body: [], secrets: [secret])
            #expect(!WebhookSignature.isValid(signed, id: "a", time: time, body: [], secrets: [secret], now: Self.now))
        }
    }

    @Test func `an old secret holds for a day beside the new one`() throws {
        let first = HookSecret.random(), second = HookSecret.random()
        var secrets = HookSecrets(first)
        #expect(secrets.holding(at: Self.now) == [first])
        var isRotated = secrets.rotate(to: second, at: Self.now)
        #expect(isRotated && secrets.holding(at: Self.now + .seconds(86_399)) == [second, first])
        #expect(secrets.holding(at: Self.now + .seconds(86_400)) == [second])
        #expect(HookSecrets(secrets.json) == secrets)
        for _ in 0..<5 { isRotated = secrets.rotate(to: .random(), at: Self.now) }
        #expect(!isRotated)
        isRotated = secrets.rotate(to: .random(), at: Self.now + HookSecrets.overlap)
        #expect(isRotated)
        #expect("\(first)" == "•••" && "\(secrets)".contains("whsec_") == false)
        #expect(
            HookSecret(first.text) == first && HookSecret("whsec_AAAA") == nil
                && HookSecret(String(first.text.dropFirst())) == nil)
    }

    @Test func `what the place before has answered does not count against the one that an endpoint has now`() throws {
        let now = Timestamp(microseconds: 1_000_000)
        var endpoint = Endpoint(
            namespace: "default", id: "ep", address: try HookAddress("https://a.example.org/hook"), events: [], workflow: nil,
            secrets: HookSecrets(.random()), made: now, maker: Principal(.human, "ada"))
        #expect(endpoint.note(.failed(.unreachable), at: now) && endpoint.failingSince == now)
        endpoint.address = try HookAddress("https://b.example.org/hook")
        #expect(endpoint.failingSince == nil)
        #expect(endpoint.note(.failed(.unreachable), at: now + Endpoint.patience) && endpoint.disabled == nil)
    }

    @Test func `an address reaches as far as the registries say`() throws {
        let cases: [(IPAddress.Reach, [String])] = [
            (.everywhere, ["1.1.1.1", "93.184.215.14", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101"]),
            (.machine, ["127.0.0.1", "127.255.255.255", "::1"]),
            (.site, ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd00::1", "fc00::1"]),
            (
                .nowhere,
                [
                    "0.0.0.0", "169.254.169.254", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
                    "224.0.0.1", "255.255.255.255", "240.0.0.1", "::", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1",
                    "fe80::1", "fec0::1", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2001::1", "64:ff9b::7f00:1",
                    "64:ff9b:1::1", "100::1", "3fff::1", "100.100.100.200", "168.63.129.16", "fd00:ec2::254",
                    "fd20:ce::254",
                ]
            ),
        ]
        for (reach, texts) in cases {
            for text in texts {
                let address = try #require(IPAddress(text), "\(text)")
                #expect(address.reach == reach, "\(text)")
                #expect(IPAddress(address.description) == address, "\(text)")
            }
        }
        for text in ["127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "fe80::1%lo", "localhost", ""] {
            #expect(IPAddress(text) == nil)
        }
    }

    @Test func `an address of an endpoint is refused for what it cannot be`() throws {
        func refusal(_ text: String, _ targets: HookTargets) -> String? {
            do throws(HookAddress.Refusal) {
                try HookAddress(text).check(targets)
                return nil
            } catch {
                return error.wish
            }
        }
        for good in [
            "https://example.org", "HTTPS://Example.org:8443/a?b=c%20d", "https://93.184.215.14/x", "https://[2606:4700::1111]",
        ] {
            #expect(refusal(good, .everybodys) == nil, "\(good)")
        }
        for bad in [
            "http://example.org", "https://127.0.0.1/", "https://localhost", "https://10.1.2.3", "https://[::1]",
            "https://169.254.169.254",
            "https://[::ffff:10.0.0.1]", "ftp://example.org", "https://user@example.org", "https://example.org#x", "https://a b",
            "https://", "https://example.org:0", "https://example.org:65536", "https://example.org:+1", "https://exa\\mple.org",
            "https://.example.org", "https://[fe80::1%25lo]/", "//example.org", "example.org", "https://ex\u{e4}mple.org",
            "https://\(String(repeating: "x", count: 2_000))", "https://example.org/%zz",
        ] {
            #expect(refusal(bad, .everybodys) != nil, "\(bad)")
        }
        for good in ["http://localhost:8080/x", "http://127.0.0.1", "http://[::1]:1/"] {
            #expect(refusal(good, .desk) == nil, "\(good)")
        }
        for bad in ["http://example.org", "https://10.0.0.1", "http://10.0.0.1", "http://169.254.1.1"] {
            #expect(refusal(bad, .desk) != nil, "\(bad)")
        }
        #expect(refusal("http://10.0.0.1", .alsoPrivate) == nil && refusal("https://[ff02::1]", .alsoPrivate) != nil)
        let address = try HookAddress("HTTPS://Example.ORG:443/A?b")
        #expect(address.text == "https://example.org/A?b" && address.host == "example.org" && address.port == 443)
        #expect(try HookAddress(address.text) == address)
        #expect(try HookAddress("https://example.org?x").text == "https://example.org/?x")
    }

    @Test func `tries follow the schedule, and an endpoint may ask for more time`() throws {
        var delivery = HookDelivery(
            namespace: "default", endpoint: "e", id: "d", type: "test", run: nil, seq: nil, body: "{}", made: Self.now)
        var now = Self.now
        for wait in HookDelivery.schedule {
            delivery.take(by: "me", at: now)
            #expect(delivery.due == now + HookDelivery.lease)
            delivery.finish(.failed(.unreachable), at: now, jitter: 0.5)
            #expect(delivery.state == .pending && delivery.due == now + wait * 1.05)
            now = delivery.due ?? now
        }
        delivery.finish(.answered(status: 500, retryAfter: nil), at: now, jitter: 0)
        #expect(delivery.state == .failed && delivery.tries == 10 && delivery.due == now + .seconds(30 * 86_400))
        #expect(!delivery.isForgotten(at: now) && delivery.isForgotten(at: now + HookDelivery.failedKeptFor))
        delivery.sendAgain(at: now)
        #expect(delivery.state == .pending && delivery.tries == 0 && delivery.due == now)
        delivery.finish(.answered(status: 429, retryAfter: .seconds(120)), at: now, jitter: 0)
        #expect(delivery.due == now + .seconds(120))
        delivery.finish(.answered(status: 503, retryAfter: .seconds(10 * 86_400)), at: now, jitter: 0)
        #expect(delivery.due == now + HookDelivery.longestWait)
        delivery.finish(.answered(status: 410, retryAfter: nil), at: now, jitter: 0)
        #expect(delivery.state == .failed)
        let json = delivery.json
        #expect(HookDelivery(json)?.json == json)
        delivery.finish(.answered(status: 204, retryAfter: nil), at: now, jitter: 0)
        #expect(delivery.state == .delivered)
    }

    @Test func `four exchanges with one endpoint and 32 in all have a place`() {
        let traffic = HookTraffic()
        #expect((0..<6).map { _ in traffic.enter("a") } == [true, true, true, true, false, false])
        for endpoint in 1..<8 { for _ in 0..<4 { #expect(traffic.enter("\(endpoint)")) } }
        #expect(!traffic.enter("one more"))
        traffic.leave("a")
        #expect(traffic.enter("one more") && !traffic.enter("one more"))
    }

    @Test func `a hook stands for the roles that it was made for, and for anyone`() throws {
        func hook(_ roles: [String]) -> ReceivingHook {
            ReceivingHook(
                namespace: "default", id: "h", principal: "risk", signals: nil, approvals: (["errand"], roles),
                secrets: HookSecrets(.random()), made: Self.now, stewards: [ada])
        }
        #expect(hook([]).mayDecide(as: "anyone") && !hook([]).mayDecide(as: "role:finance"))
        #expect(hook(["finance"]).mayDecide(as: "role:finance") && !hook(["finance"]).mayDecide(as: "role:legal"))
        #expect(hook([]).mayDecide(for: "errand") && !hook([]).mayDecide(for: "wait"))
        let read = try #require(ReceivingHook(hook(["finance"]).json))
        #expect(read.approvals?.roles == ["finance"] && read.approvals?.workflows == ["errand"])
        #expect(read.isOf(ada) && read.isOf(Principal(.human, "risk")) && !read.isOf(Principal(.human, "bob")))
    }

    @Test func `what is in headers of an event is read as CloudEvents say`() {
        #expect(CloudEvent.decoded("a%20b") == "a b" && CloudEvent.decoded("\"a\\\"b\"") == "a\"b")
        #expect(
            CloudEvent.decoded("%E2%82%AC") == "€" && CloudEvent.decoded("%25zz") == "%zz" && CloudEvent.decoded("%FF") == nil)
        #expect(CloudEvent.isJSON("application/json; charset=utf-8") && CloudEvent.isJSON("application/vnd.x+json"))
        #expect(!CloudEvent.isJSON("text/plain") && !CloudEvent.isJSON("") && !CloudEvent.isJSON("application/jsonl"))
    }

    @Test func `the id of an approval is read as it is written`() throws {
        let run = try #require(RunID("01a20800-0000-7000-8000-000000000001"))
        for step in ["buy", "scope/buy[a/b]#2"] {
            let id = ApprovalID(run: run, step: step)
            #expect(ApprovalID(id.text) == id)
        }
        for text in ["", "x", "\(run)", "\(run)/", "\(run)x/buy"] { #expect(ApprovalID(text) == nil) }
    }
}
