/// The types of PostgreSQL that the hand-written program's columns have, with the server's numbers for them.
enum ServerType: UInt32 {
    case int8 = 20
    case text = 25
    case bytea = 17
    case uuid = 2950

    var array: UInt32 {
        switch self {
        case .int8: 1016
        case .text: 1009
        case .bytea: 1001
        case .uuid: 2951
        }
    }
}

/// Values of one column as an array in the server's own format, in memory that is used again for the next statement.
///
/// The format is a head of five numbers (dimensions, whether there are nulls, the type, the count, the first index), and for each
/// value its length, -1 for null, and its bytes; everything in network order.
final class ServerColumn {
    private let type: ServerType
    private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 8)
    private var end = 0
    private(set) var count = 0
    private static let head = 20

    init(_ type: ServerType) {
        self.type = type
        removeAll()
    }

    deinit { memory.deallocate() }

    func removeAll() {
        end = 0
        count = 0
        for number in [1, 0, Int32(bitPattern: type.rawValue), 0, 1] { put(number) }
    }

    func append(_ number: Int64) {
        count += 1
        put(Int32(8))
        put(number)
    }

    func append(_ bytes: UnsafeRawBufferPointer) {
        count += 1
        put(Int32(bytes.count))
        put(bytes)
    }

    func append(_ cell: StoredCell) {
        switch cell {
        case .integer(let number): append(number)
        case .text(let bytes), .blob(let bytes): append(bytes)
        case .null:
            count += 1
            put(Int32(-1))
            memory.storeBytes(of: Int32(1).bigEndian, toByteOffset: 4, as: Int32.self)
        }
    }

    /// All values, as one of the array's type.
    var array: UnsafeRawBufferPointer {
        memory.storeBytes(of: Int32(count).bigEndian, toByteOffset: 12, as: Int32.self)
        return UnsafeRawBufferPointer(rebasing: memory[..<end])
    }

    /// The only value, as one of the column's own type; without a start if it is null.
    var single: UnsafeRawBufferPointer {
        let length = Int32(bigEndian: memory.loadUnaligned(fromByteOffset: Self.head, as: Int32.self))
        guard length >= 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(rebasing: memory[(Self.head + 4)..<end])
    }

    private func put(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.bigEndian) { put($0) }
    }

    private func put(_ bytes: UnsafeRawBufferPointer) {
        if end + bytes.count > memory.count {
            let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: max(2 * memory.count, end + bytes.count), alignment: 8)
            larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[..<end]))
            memory.deallocate()
            memory = larger
        }
        UnsafeMutableRawBufferPointer(rebasing: memory[end..<(end + bytes.count)]).copyMemory(from: bytes)
        end += bytes.count
    }
}
