import Perdure
import Testing

@Suite struct SecretTests {
    private struct Login {
        var user = "alice"
        var password = Secret("hunter2")
        var spare: Secret<String>? = Secret("hunter2")
        var all = ["db": [Secret("hunter2")]]
    }

    @Test("A secret is not in what is printed, dumped or interpolated, alone or within other values")
    func printing() {
        let secret = Secret("hunter2"), login = Login()
        var texts = ["\(secret)", String(describing: secret), String(reflecting: secret), secret.debugDescription, "\(login)"]
        texts += [String(reflecting: login), "\([secret])", "\(["a": secret])", "\(Optional(secret) as Any)", "\((1, secret))"]
        var printed = "", dumped = "", nested = ""
        print(secret, login, to: &printed)
        dump(secret, to: &dumped)
        dump(login, to: &nested)
        for text in texts + [printed, dumped, nested] {
            #expect(!text.contains("hunter2"), "\(text)")
            #expect(text.contains("•••"), "\(text)")
        }
    }

    @Test("A secret shows nothing to reflection")
    func reflection() {
        #expect(Mirror(reflecting: Secret("hunter2")).children.isEmpty)
        let children = Mirror(reflecting: Login()).children
        #expect(children.contains { $0.value is Secret<String> })
        #expect(children.allSatisfy { !String(reflecting: $0.value).contains("hunter2") })
    }

    @Test("A secret is not Codable")
    func coding() {
        let secret: any Sendable = Secret("hunter2")
        #expect(!(secret is any Encodable))
        #expect(!(secret is any Decodable))
    }

    @Test("A secret lends its value and passes on the error of the closure")
    func lending() {
        #expect(Secret("hunter2").withValue { $0.count } == 7)
        #expect(throws: Rejected("no")) { try Secret(1).withValue { _ throws(Rejected) in throw Rejected("no") } }
    }
}
