import Foundation
import PerdureHistory
import Testing

@Suite struct DerivationTests {
    private let salt: [UInt8] = Array(0..<16)

    @Test("keys are those that an independent program computed from the definition")
    func pinned() {
        let key = IdempotencyKey.derive(namespace: "default", run: "run-1", subject: "hello#1", generation: 0)
        #expect(key == "pk_3162f16d2f9739be8f64072a406c197531b20e9f")
        #expect(IdempotencyKey.undo(of: key) == "pk_afebcf806ecf1a85c31f71e3d0ace100e622d3f3")
        #expect(
            IdempotencyKey.derive(namespace: "default", stepName: "charge", businessKey: "order 7", generation: 2)
                == "pk_e0f67ce266c32e23afb1916877f06950d43c3a15")
    }

    @Test("keys differ in every field, and fields do not run into each other")
    func distinct() {
        let keys = [
            IdempotencyKey.derive(namespace: "a", run: "b", subject: "c", generation: 0),
            IdempotencyKey.derive(namespace: "a", run: "b", subject: "c", generation: 1),
            IdempotencyKey.derive(namespace: "ab", run: "", subject: "c", generation: 0),
            IdempotencyKey.derive(namespace: "a", run: "bc", subject: "", generation: 0),
            IdempotencyKey.derive(namespace: "a", run: "b", subject: "c0", generation: 0),
            IdempotencyKey.derive(namespace: "a", stepName: "b", businessKey: "c", generation: 0),
            IdempotencyKey.undo(of: IdempotencyKey.derive(namespace: "a", run: "b", subject: "c", generation: 0)),
        ]
        #expect(Set(keys).count == keys.count)
        #expect(keys.allSatisfy { $0.count == 43 && $0.hasPrefix("pk_") })
    }

    @Test("a child's bits are those that an independent program computed from the definition, and differ in every field")
    func child() {
        let parent = "0193a5b0-0000-7000-8000-000000000001"
        let bits = ChildDerivation.bits(namespace: "default", parent: parent, subject: "ship", generation: 0)
        #expect(bits == (9_735_904_858_602_083_700, 17_953_387_799_244_999_164))
        let others = [
            ChildDerivation.bits(namespace: "other", parent: parent, subject: "ship", generation: 0),
            ChildDerivation.bits(namespace: "default", parent: "x", subject: "ship", generation: 0),
            ChildDerivation.bits(namespace: "default", parent: parent, subject: "ship#2", generation: 0),
            ChildDerivation.bits(namespace: "default", parent: parent, subject: "ship", generation: 1),
        ]
        #expect(Set(others.map(\.0) + [bits.0]).count == 5)
    }

    @Test("a salted digest is SHA-256 over salt and bytes, and tells nothing without the salt")
    func digest() {
        let bytes = Array(#""Ann""#.utf8)
        #expect(
            SaltedDigest.hex(salt: salt, canonicalBytes: bytes)
                == "a65c89d2f377da594007065903cba06f53e1a8ead3a843d80e15c58132525686")
        #expect(SaltedDigest.hex(salt: [1], canonicalBytes: bytes) != SaltedDigest.hex(salt: [2], canonicalBytes: bytes))
        #expect(Hex.encode(SaltedDigest.plain([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }

    @Test("derived random values are those that an independent program computed from the definition")
    func random() throws {
        let random = DerivedRandom(salt: salt)
        #expect(random.uint64("dice") == 11_578_726_970_148_751_582)
        #expect(random.uuid("id") == UUID(uuidString: "a5993193-9461-8cc3-9a29-5bc0e3262ec8"))
    }

    @Test("derived UUIDs have version 8 and the standard variant, and differ by salt and subject")
    func uuids() {
        var seen: Set<UUID> = []
        for index in 0..<200 {
            let uuid = DerivedRandom(salt: [UInt8(index % 2)]).uuid("\(index / 2)")
            #expect(uuid.uuid.6 >> 4 == 8)
            #expect(uuid.uuid.8 >> 6 == 2)
            seen.insert(uuid)
        }
        #expect(seen.count == 200)
    }
}
