import Foundation
import Perdure
import Testing

@Suite struct StepFailureTests {
    private struct OutOfStock: Error, Codable, Hashable { var left: Int }

    private func failure(_ payload: Data?) -> StepFailure {
        StepFailure(
            code: StepFailure.stepFailed, typeName: "OutOfStock", message: "nothing left", attempts: 3, isDefinite: true,
            payload: payload)
    }

    @Test("A Codable error is read back as its type")
    func decoded() throws {
        let failure = failure(try JSONEncoder().encode(OutOfStock(left: 2)))
        #expect(failure.decoded(as: OutOfStock.self) == OutOfStock(left: 2))
    }

    @Test(
        "What is another type, broken or absent is nil and does not trap",
        arguments: [nil, "", "{", "{}", #"{"left":"two"}"#, "null"])
    func notDecoded(text: String?) {
        #expect(failure(text.map { Data($0.utf8) }).decoded(as: OutOfStock.self) == nil)
        #expect(failure(text.map { Data($0.utf8) }).decoded(as: Rejected.self) == nil)
    }

    @Test("A failure is the same after it was recorded")
    func coding() throws {
        let failure = failure(try JSONEncoder().encode(OutOfStock(left: 2)))
        #expect(try JSONDecoder().decode(StepFailure.self, from: JSONEncoder().encode(failure)) == failure)
    }

    @Test("A failure says its code, its type, its message and the attempts if there were several")
    func description() {
        #expect(failure(nil).description == "step_failed: OutOfStock nothing left after 3 attempts")
        #expect(StepFailure(code: StepFailure.expired, message: "nobody came", attempts: 1).description == "expired: nobody came")
    }
}
