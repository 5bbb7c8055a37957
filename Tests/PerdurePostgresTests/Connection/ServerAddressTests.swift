import Perdure
import PerdureStore
import Testing

@testable import PerdurePostgres

/// Addresses: what is read out of them, and what is never shown.
struct ServerAddressTests {
    private static let secret = "s3cr3t-word"

    private static func wrong(_ text: String) throws -> String {
        let error = try #require(throws: StoreError.self) { try ServerAddress(text) }
        #expect(error.kind == "usage")
        return error.description
    }

    @Test(
        "A URL and a list of values are the same address",
        arguments: [
            "postgres://ada:s3cr3t-word@db.example:5433/store", "postgresql://ada:s3cr3t-word@db.example:5433/store",
            "host=db.example port=5433 user=ada password=s3cr3t-word dbname=store",
            "host = 'db.example' port='5433' user=ada password='s3cr3t-word' dbname=store",
        ])
    func forms(_ text: String) throws {
        let address = try ServerAddress(text)
        #expect(address.description == "postgres://ada@db.example:5433/store")
        let values = try #require(address.attempts.first)
        #expect(address.attempts.count == 1)
        #expect(values["password"] == Self.secret && values["host"] == "db.example" && values["port"] == "5433")
    }

    @Test("What is not given gets a value with which nothing hangs")
    func defaults() throws {
        let values = try #require(try ServerAddress("postgres://h/d").attempts.first)
        #expect(values["fallback_application_name"] == "perdure" && values["client_encoding"] == "UTF8")
        #expect(values["tcp_user_timeout"] == "15000" && values["target_session_attrs"] == "read-write")
        #expect(try ServerAddress("postgres://h/d").connectLimit == .seconds(10))
        let given = try ServerAddress(
            "postgres://h/d?tcp_user_timeout=1&target_session_attrs=any&connect_timeout=3&client_encoding=LATIN1&application_name=mine"
        )
        let kept = try #require(given.attempts.first)
        #expect(kept["tcp_user_timeout"] == "1" && kept["target_session_attrs"] == "any" && kept["application_name"] == "mine")
        #expect(kept["client_encoding"] == "UTF8")
        #expect(given.connectLimit == .seconds(3))
        #expect(try ServerAddress("host=h connect_timeout=0").connectLimit == .seconds(10))
    }

    @Test("Several hosts are tried one after the other")
    func hosts() throws {
        let address = try ServerAddress("postgres://ada@one:1,two:2,[::1]:3/store")
        #expect(address.attempts.map { $0["host"] } == ["one", "two", "::1"])
        #expect(address.attempts.map { $0["port"] } == ["1", "2", "3"])
        #expect(address.description == "postgres://ada@one:1,two:2,::1:3/store")
        let shared = try ServerAddress("host=one,two port=7")
        #expect(shared.attempts.map { $0["port"] } == ["7", "7"])
        let numbers = try ServerAddress("host=one,two hostaddr=1.1.1.1,2.2.2.2")
        #expect(numbers.attempts.map { $0["hostaddr"] } == ["1.1.1.1", "2.2.2.2"])
    }

    @Test(
        "Our own option is read and kept from libpq",
        arguments: [
            ("postgres://h/d?perdure_prepare=false", false), ("postgres://h/d?perdure_prepare=true", true),
            ("postgres://h/d?sslmode=require&perdure_prepare=off&connect_timeout=3", false),
            ("postgres://u:a?b@h/d?perdure_prepare=0", false), ("host=h perdure_prepare=false dbname=d", false),
            ("perdure_prepare = no host=h dbname=d", false), ("postgres://h/d", true), ("host=h dbname=d", true),
        ])
    func prepareOption(_ text: String, _ prepares: Bool) throws {
        let address = try ServerAddress(text)
        #expect(address.preparesStatements == prepares)
        #expect(address.attempts.first?["dbname"] == "d" && address.attempts.first?["host"] == "h")
        if text.contains("sslmode") { #expect(address.attempts.first?["sslmode"] == "require") }
    }

    @Test("A password shows nowhere, however the address is printed")
    func redaction() throws {
        let address = try ServerAddress("postgres://ada:\(Self.secret)@h/d?options=-c%20x%3Dy&sslpassword=\(Self.secret)2")
        var dumped = ""
        dump(address, to: &dumped)
        dump([address.debugDescription: Optional(address)], to: &dumped)
        for text in ["\(address)", String(reflecting: address), String(describing: [address]), dumped] {
            #expect(!text.contains("s3cr3t") && text.contains("ada@h"))
        }
    }

    @Test(
        "What is wrong with an address is said, without the password, whatever its characters have made of it",
        arguments: [
            "", " \n", "localhost", "mysql://ada:s3cr3t-word@h/d", "http://h", "postgres://ada:s3cr3t-word@h/d?colour=red",
            "postgres://ada:s3cr3t-word@h/d?sslmode", "postgres://ada:s3cr3t-word@h:99999/d", "postgres://ada:s3cr3t-word@h:x/d",
            "postgres://ada:s3cr3t-word@[::1/d", "postgres://ada:s3cr3t-word%zz@h/d", "postgres://ada:s3cr3t-word%00@h/d",
            "postgres://ada:x@s3cr3t-word@h/d", "postgres://ada:x/s3cr3t-word@h/d", "postgres://ada:12/s3cr3t-word@h/d",
            "host=h password='s3cr3t-word", "host=h password=x s3cr3t-word", "host=h password=x s3cr3t-word=1",
            "host=h colour=red",
            "host=one,two,three port=1,2", "host=h connect_timeout=soon", "host=h perdure_prepare=perhaps",
            "postgres://h/d?password=a&s3cr3t-word=1", "postgres://h/d?x=1@s3cr3t-word", "postgres://h/d\0s3cr3t-word",
            "host=h dbname=postgres://ada:s3cr3t-word@h/d",
        ])
    func complaints(_ text: String) throws {
        let complaint = try Self.wrong(text)
        #expect(!complaint.contains("s3cr3t") && complaint.contains("postgres://USER:PASSWORD@HOST"))
    }

    @Test("An option that libpq does not know is named where that gives nothing away")
    func unknownOption() throws {
        #expect(try Self.wrong("postgres://ada:\(Self.secret)@h/d?colour=red").contains("colour"))
    }

    @Test("An answer of the server that refuses is understood with its code", arguments: ["28P01", "3D000", "53300"])
    func refusals(_ state: String) {
        let text = """
            connection to server at "::1", port 1 failed: Connection refused
            \tIs the server running on that host and accepting TCP/IP connections?
            connection to server at "127.0.0.1", port 1 failed: FATAL:  \(state): what it says
            LOCATION:  auth_failed, auth.c:338

            """
        let failure = ConnectFailure(text)
        #expect(failure.sqlState == state)
        #expect(!failure.message.contains("LOCATION") && !failure.message.contains("\n"))
    }

    @Test("Of several hosts, one that may heal makes the whole heal; two that refuse do not")
    func several() {
        let refused = ConnectFailure("connection to server failed: FATAL:  28P01: no")
        let absent = ConnectFailure("connection to server failed: Connection refused")
        let replica = ConnectFailure("connection to server failed: session is read-only")
        #expect(ConnectFailure([refused, absent]).storeError.kind == "unavailable")
        #expect(ConnectFailure([replica, replica]).storeError.kind == "unavailable")
        #expect(ConnectFailure([refused, refused]).storeError.kind == "store_refused")
        #expect(replica.storeError.kind == "store_read_only")
    }
}
