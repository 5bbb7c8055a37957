import Testing

@testable import PerdureEngine

@Suite struct OperationTableTests {
    private func id(_ number: Int) -> OperationID { OperationID(number: number) }

    @Test func `an operation is found under its number until it is removed`() {
        var table = OperationTable<String>()
        table[id(3)] = "three"
        #expect(table[id(3)] == "three")
        #expect(table.removeValue(forKey: id(3)) == "three")
        #expect(table[id(3)] == nil && table.isEmpty)
    }

    @Test(arguments: [-1, 0, 4, 99]) func `a number that is not in the table has no operation`(number: Int) {
        var table = OperationTable<String>()
        table[id(3)] = "three"
        #expect(table[id(number)] == nil)
        #expect(table.removeValue(forKey: id(number)) == nil)
    }

    @Test func `changing an operation that is not there changes nothing`() {
        var table = OperationTable<[Int]>()
        table[id(1)]?.append(1)
        #expect(table.isEmpty)
    }

    @Test func `an operation is changed in place`() {
        var table = OperationTable<[Int]>()
        table[id(1)] = [1]
        table[id(1)]?.append(2)
        #expect(table[id(1)] == [1, 2])
    }

    @Test func `assigning nothing removes an operation`() {
        var table = OperationTable<String>()
        table[id(1)] = "one"
        table[id(1)] = nil
        #expect(table.count == 0 && table.keys.isEmpty)
    }

    @Test func `a copy does not change with the original`() {
        var table = OperationTable<String>()
        table[id(1)] = "one"
        let copy = table
        table[id(1)] = "changed"
        #expect(copy[id(1)] == "one")
    }

    @Test func `it holds what a dictionary holds, in the order of the numbers`() {
        var random = SystemRandomNumberGenerator()
        var table = OperationTable<Int>(), expected: [OperationID: Int] = [:]
        for step in 0..<2_000 {
            // Mostly ascending, as a run asks, with many that end early and some that stay.
            let id = id(Int.random(in: max(0, step - 20)...step, using: &random))
            if Bool.random(using: &random) {
                table[id] = step
                expected[id] = step
            } else {
                #expect(table.removeValue(forKey: id) == expected.removeValue(forKey: id))
            }
        }
        #expect(table.count == expected.count)
        #expect(table.keys == expected.keys.sorted())
        #expect(table.values == expected.sorted { $0.key < $1.key }.map(\.value))
        #expect(Array(table).map(\.value) == table.values)
    }
}
