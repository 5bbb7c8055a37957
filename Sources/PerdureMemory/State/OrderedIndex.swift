/// Elements in their order, each at most once.
///
/// A list of short sorted lists: finding, adding and removing one touches a few hundred elements at most, however many there are.
struct OrderedIndex<Element: Comparable & Sendable>: Sendable {
    /// None of them empty, none longer than `most`.
    private var chunks: [[Element]] = []
    private(set) var count = 0

    private static var most: Int { 256 }

    var first: Element? { chunks.first?.first }
    var isEmpty: Bool { chunks.isEmpty }

    mutating func insert(_ element: Element) {
        guard let last = chunks.indices.last else {
            chunks.append([element])
            count = 1
            return
        }
        let chunk = min(chunkIndex(of: element), last)
        let place = Self.place(of: element, in: chunks[chunk])
        if place < chunks[chunk].count, chunks[chunk][place] == element { return }
        chunks[chunk].insert(element, at: place)
        count += 1
        if chunks[chunk].count > Self.most {
            let rest = Array(chunks[chunk].suffix(Self.most / 2))
            chunks[chunk].removeLast(rest.count)
            chunks.insert(rest, at: chunk + 1)
        }
    }

    mutating func remove(_ element: Element) {
        let chunk = chunkIndex(of: element)
        guard chunk < chunks.count else { return }
        let place = Self.place(of: element, in: chunks[chunk])
        guard place < chunks[chunk].count, chunks[chunk][place] == element else { return }
        chunks[chunk].remove(at: place)
        count -= 1
        if chunks[chunk].isEmpty { chunks.remove(at: chunk) }
    }

    /// Goes through the elements in their order, from the first one that is not smaller than `start`, for as long as `body` says so.
    func forEach(from start: Element? = nil, _ body: (Element) -> Bool) {
        let begin = start.map(chunkIndex) ?? 0
        for chunk in chunks.indices.dropFirst(begin) {
            let place = chunk == begin ? start.map { Self.place(of: $0, in: chunks[chunk]) } ?? 0 : 0
            for element in chunks[chunk][place...] {
                if !body(element) { return }
            }
        }
    }

    /// All of them, in their order.
    var elements: [Element] { Array(chunks.joined()) }

    /// The first chunk that does not end before the element.
    private func chunkIndex(of element: Element) -> Int {
        var low = 0, high = chunks.count
        while low < high {
            let middle = (low + high) / 2
            if let last = chunks[middle].last, last < element { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Where in a sorted list the element is, or would be.
    private static func place(of element: Element, in list: [Element]) -> Int {
        var low = 0, high = list.count
        while low < high {
            let middle = (low + high) / 2
            if list[middle] < element { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
