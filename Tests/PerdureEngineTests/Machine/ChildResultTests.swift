import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

/// How the end of a child travels.
@Suite struct ChildResultTests {
    private let run = RunID(milliseconds: 1, random: (2, 3))

    @Test func `an output arrives byte by byte, whatever is in it`() throws {
        for output in ["1", #"{"b":1,"a":[1e400,12345678901234567890123]}"#, "\"a\\nb\"", String(repeating: "[", count: 2_000)] {
            let result = ChildResult(run: run, kind: .runCompleted, attributes: ["a": "line\nfeed"], output: Array(output.utf8))
            #expect(ChildResult(payload: result.payload) == result)
        }
        let silent = ChildResult(run: run, kind: .runCancelled)
        #expect(ChildResult(payload: silent.payload) == silent)
    }

    @Test(arguments: [
        "", "\n1", "7", "{}", #"{"kind":"run.completed"}"#, #"{"kind":"run.completed","run":"x"}"#,
        #"{"kind":"step.failed","run":"00000000-0001-7002-8000-000000000003"}"#,
    ])
    func `bytes that are no end are told`(_ text: String) {
        #expect(ChildResult(payload: Array(text.utf8)) == nil)
    }

    @Test func `a part of a run that goes on in another one is no end`() {
        let parent = ParentLink(run: run, subject: "c")
        #expect(ChildResult.delivery(of: EventDraft(.runContinued), run: run, first: run, to: parent) == nil)
        #expect(ChildResult.delivery(of: EventDraft(.runCompleted), run: run, first: run, to: nil) == nil)
    }

    @Test func `the id of a child is a UUID of version 7 beside its parent's`() throws {
        let parent = try #require(RunID("0193a5b0-0000-7000-8000-000000000001"))
        let child = RunID.child(of: parent, namespace: "default", subject: "ship")
        #expect(child.description == "0193a5b0-0000-7574-b927-3f1510d489fc")
        #expect(RunID.child(of: parent, namespace: "default", subject: "ship#2") != child)
    }
}
