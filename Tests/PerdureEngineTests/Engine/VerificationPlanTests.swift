import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

@Suite struct VerificationPlanTests {
    private static let lengths: [Duration] = [.seconds(1), .seconds(900), .hours(1), .days(1), .days(30), .days(10_000)]

    @Test(arguments: lengths) func `a round looks at every block once, whoever of several keepers does`(length: Duration) {
        let plan = VerificationPlan(round: length), last: Int64 = 3_000
        for round in [Int64(0), 1, 12_345] {
            for keepers in 1...3 {
                var seen: [Int64: Int] = [:]
                for part in 0..<plan.parts {
                    let place = plan.place(round * plan.parts + part)
                    #expect(place.round == round && place.part == part)
                    for keeper in 0..<keepers {
                        var block = place.block(upTo: last)
                        while let current = block {
                            if place.isMine(current, KeeperShare(number: Int64(keeper), count: keepers)) {
                                seen[current, default: 0] += 1
                            }
                            block = place.block(upTo: current - 1)
                        }
                    }
                }
                #expect(seen.count == last + 1 && seen.values.allSatisfy { $0 == 1 })
            }
        }
    }

    @Test(arguments: lengths) func `the parts of the rounds follow each other without gaps on the clock`(length: Duration) {
        let plan = VerificationPlan(round: length)
        for index in [Int64(0), 1, plan.parts, 1_000] {
            let start = plan.start(of: index), next = plan.start(of: index + 1)
            #expect(plan.index(at: start) == index && plan.index(at: next - .microseconds(1)) == index)
        }
        #expect(plan.index(at: Timestamp(microseconds: -1)) == 0)
    }

    @Test func `whoever looks at the same time of each round sees other blocks in each`() {
        let plan = VerificationPlan(round: .days(1))
        let rests = (0..<plan.parts).map { plan.place($0 * plan.parts + 7).rest }
        #expect(Set(rests).count == Int(plan.parts))
    }

    @Test func `work is shared with those alone that verify the same`() {
        var configuration = EngineConfiguration()
        configuration.duty = .keeper
        func verifies(_ namespaces: Set<String>?, round: Duration? = .hours(1), rate: Int = 1_000) -> String? {
            configuration.namespaces = namespaces
            configuration.verificationRound = round
            configuration.verificationRate = rate
            return configuration.sharedVerification
        }
        let all = verifies(nil)
        let different = [verifies(["a"]), verifies(["a", "b"]), verifies(["b"]), verifies([]), verifies(nil, round: .hours(2))]
        #expect(Set(different).union([all, nil]).count == 7)
        #expect(verifies(["b", "a"]) == verifies(["a", "b"]) && verifies(nil, rate: 500) == all)
        #expect(verifies(nil, rate: 0) == nil && verifies(nil, round: nil) == nil)
        configuration.duty = .host
        #expect(verifies(nil) == nil)
        let said = [all, different[0], all, nil, different[0]]
        let nodes = said.enumerated().map { number, verifies in
            NodeRegistration(
                id: NodeID(rawValue: "node-\(number)"), build: "b", host: "h", processID: 1,
                hosted: verifies == nil ? [.init(workflow: "w", version: "1")] : [], verifies: verifies)
        }
        func share(_ number: Int) -> KeeperShare? {
            said[number].map { KeeperShare(of: nodes[number].id, verifying: $0, among: nodes) }
        }
        #expect([0, 2].map(share) == (0...1).map { KeeperShare(number: $0, count: 2) })
        #expect([1, 4].map(share) == (0...1).map { KeeperShare(number: $0, count: 2) })
        // One that others count for dead does it all.
        #expect(KeeperShare(of: NodeID(rawValue: "gone"), verifying: all ?? "", among: nodes) == .all)
    }
}
