import Testing

@testable import PerdureMemory

struct OrderedIndexTests {
    @Test("It holds what a sorted set would, whatever was added and removed", arguments: 1...4)
    func likeASet(_ seed: Int) {
        var state = UInt64(seed)
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var index = OrderedIndex<Int>(), expected: Set<Int> = []
        for round in 0..<8 {
            // Grows, then shrinks again down to nothing.
            for _ in 0..<1_000 {
                let element = next(3_000)
                if next(8) < 8 - round {
                    index.insert(element)
                    expected.insert(element)
                } else {
                    index.remove(element)
                    expected.remove(element)
                }
            }
            #expect(index.elements == expected.sorted() && index.count == expected.count)
            #expect(index.first == expected.min())
            let start = next(3_000)
            var found: [Int] = []
            index.forEach(from: start) { element in
                found.append(element)
                return found.count < 50
            }
            #expect(found == Array(expected.filter { $0 >= start }.sorted().prefix(50)))
        }
        for element in expected { index.remove(element) }
        #expect(index.isEmpty && index.first == nil && index.elements.isEmpty)
    }

    @Test("Texts are ordered and told apart by their bytes")
    func bytes() {
        let composed = ByteText("\u{e9}"), decomposed = ByteText("e\u{301}")
        #expect(composed.text == decomposed.text)
        #expect(composed != decomposed && Set([composed, decomposed]).count == 2)
        #expect(decomposed < composed && ByteText("Z") < ByteText("a") && ByteText("a") < ByteText("a1"))
    }
}
