import Testing

@testable import PerdurePeer

@Suite struct BehaviourTests {
    @Test func `a peer at its best performs new requests and replays known ones`() {
        var behaviour = Behaviour()
        #expect(behaviour.decide(.unknown) == .proceed(.perform, .init()))
        #expect(behaviour.decide(.sameBody) == .proceed(.replay, .init()))
        #expect(behaviour.decide(.otherBody) == .refuse(.keyReused))
        #expect(behaviour.decide(.inProgress) == .refuse(.keyInProgress))
        #expect(behaviour == Behaviour())
    }

    @Test(arguments: [KeyRecognition.unknown, .sameBody, .otherBody, .inProgress])
    func `a peer that ignores keys performs whatever it knows about the key`(recognition: KeyRecognition) {
        var behaviour = Behaviour()
        behaviour.keys = .ignore
        #expect(behaviour.decide(recognition) == .proceed(.perform, .init()))
    }

    @Test func `what stands before the work goes in the order down, rate limit, fail before`() {
        var behaviour = Behaviour()
        behaviour.down = true
        behaviour.rateLimit = 1
        behaviour.failBefore = 1
        #expect(behaviour.decide(.unknown) == .refuse(.down))
        behaviour.down = false
        #expect(behaviour.decide(.unknown) == .refuse(.rateLimited))
        #expect(behaviour.decide(.unknown) == .refuse(.unavailable))
        #expect(behaviour.decide(.unknown) == .proceed(.perform, .init()))
        #expect(behaviour == Behaviour())
    }

    @Test func `what follows the work drops first, fails next, then answers`() {
        var behaviour = Behaviour()
        behaviour.dropAfterEffect = 1
        behaviour.failAfterEffect = 1
        #expect(behaviour.decide(.unknown) == .proceed(.perform, .init(ending: .drop)))
        #expect(behaviour.decide(.sameBody) == .proceed(.replay, .init(ending: .fail)))
        #expect(behaviour.decide(.sameBody) == .proceed(.replay, .init()))
    }

    @Test func `delay and hold concern every request and are not used up`() {
        var behaviour = Behaviour()
        behaviour.delayMilliseconds = 40
        behaviour.hold = true
        for _ in 1...3 {
            #expect(behaviour.decide(.unknown) == .proceed(.perform, .init(delayMilliseconds: 40, held: true)))
        }
    }

    @Test func `a request refused for its key uses up no counter`() {
        var behaviour = Behaviour()
        behaviour.failAfterEffect = 2
        behaviour.dropAfterEffect = 2
        let before = behaviour
        #expect(behaviour.decide(.otherBody) == .refuse(.keyReused))
        #expect(behaviour.decide(.inProgress) == .refuse(.keyInProgress))
        #expect(behaviour == before)
    }

    @Test func `a behaviour reads back as it was written`() throws {
        var behaviour = Behaviour()
        behaviour.keys = .ignore
        behaviour.delayMilliseconds = 5
        behaviour.failAfterEffect = 1
        behaviour.failBefore = 2
        behaviour.dropAfterEffect = 3
        behaviour.rateLimit = 4
        behaviour.hold = true
        behaviour.down = true
        #expect(try JSON.decode(Behaviour.self, from: JSON.encode(behaviour)) == behaviour)
        #expect(try JSON.decode(Behaviour.self, from: "{}") == Behaviour())
    }

    @Test(arguments: [
        #"{"failAfterEfect": 1}"#, #"{"failBefore": -1}"#, #"{"keys": "perhaps"}"#, #"{"hold": 1}"#, #"{"rateLimit": 1.5}"#, "[]",
    ])
    func `a behaviour that makes no sense is refused with 422`(text: String) {
        let problem = #expect(throws: Problem.self) { try JSON.decode(Behaviour.self, from: text) }
        #expect(problem?.status == 422)
    }

    @Test func `a digest tells apart texts that read the same when joined`() {
        #expect(BodyDigest(["ab", "c"]) != BodyDigest(["a", "bc"]))
        #expect(BodyDigest([""]) != BodyDigest([]))
        #expect(BodyDigest(["order", "1"]) == BodyDigest(["order", "1"]))
        #expect(BodyDigest(["order", "1"]).description.utf8.count == 32)
    }
}
