import Perdure
import Testing

@testable import PerdureTelemetry

@Suite struct TraceContextTests {
    private static let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test func `a context is read and written as it is`() throws {
        let context = try #require(
            TraceContext(traceparent: Self.parent, tracestate: ["congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7"]))
        #expect(context.traceparent == Self.parent && context.flags == 1)
        #expect(context.state == "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")
    }

    @Test(arguments: [
        "", "00", String(parent.dropLast()), parent + "-01", parent + "x", parent.uppercased(),
        "ff" + parent.dropFirst(2), "0G" + parent.dropFirst(2), parent.replacing("-", with: "_"),
        "00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x", " " + parent, parent + " ", "01" + parent.dropFirst(2) + "x",
    ])
    func `what is not valid begins a new trace`(header: String) {
        #expect(TraceContext(traceparent: header) == nil)
    }

    @Test func `of a later version the beginning is read`() throws {
        let later = "cc" + Self.parent.dropFirst(2)
        for header in [later, later + "-what-the-future-holds"] {
            let context = try #require(TraceContext(traceparent: header))
            #expect(context.traceparent == Self.parent)
        }
        #expect(TraceContext(traceparent: later.dropLast(2) + "ff")?.flags == 3)
    }

    @Test(arguments: [
        ["a"], ["=b"], ["A=b"], ["a=b=c"], ["a=b", "a=c"], ["a=\u{7F}"], ["a=é"], ["-a=b"],
        [(0..<33).map { "k\($0)=v" }.joined(separator: ",")], ["a=" + String(repeating: "x", count: 257)],
    ])
    func `a state that is not valid is dropped, and the context kept`(headers: [String]) throws {
        let context = try #require(TraceContext(traceparent: Self.parent, tracestate: headers))
        #expect(context.state == "")
    }

    @Test func `empty members are allowed, and blanks around members`() {
        #expect(TraceContext(traceparent: Self.parent, tracestate: ["", " a=1 ,\t,b@c=2"])?.state == "a=1,b@c=2")
    }

    @Test func `a long state loses its long members first, and then the last ones`() {
        let long = "long=" + String(repeating: "x", count: 200)
        let members = (0..<30).map { "k\($0)=" + String(repeating: "v", count: 16) }
        let state = TraceContext(traceparent: Self.parent, tracestate: [long + "," + members.joined(separator: ",")])?.state ?? ""
        #expect(state.utf8.count <= 512 && state.hasPrefix("k0=") && !state.contains("long") && !state.contains("k29"))
        let fits = (0..<4).map { "k\($0)=" + String(repeating: "v", count: 120) }.joined(separator: ",")
        #expect(TraceContext(traceparent: Self.parent, tracestate: [fits])?.state == fits)
    }

    @Test func `ids are derived as they always were`() throws {
        let run = try #require(RunID("01a1fda0-d5ea-7b0d-9071-ee2073eaad64"))
        #expect(TraceID(run).description == "01a1fda0d5ea7b0d9071ee2073eaad64")
        // SHA-256 over length-prefixed texts, computed elsewhere.
        #expect(SpanID.root(of: run).description == "724e8f3c7047a51a")
        #expect(SpanID.attempt(.init(subject: "pay", number: 1), in: run).description == "034ec5da4f00a44c")
    }
}
