import PerdureHistory

extension SeededGenerator {
    /// Any scalar but the surrogates; ASCII, controls and the edges of the UTF-16 order come often.
    mutating func scalar() -> Unicode.Scalar {
        let ranges: [ClosedRange<UInt32>] = [
            0...0x1F, 0x20...0x7F, 0x80...0x7FF, 0x800...0xD7FF, 0xE000...0xFFFF, 0xFFF0...0xFFFF, 0x10000...0x1000F,
            0x10000...0x10FFFF,
        ]
        let range = ranges[Int.random(in: ranges.indices, using: &self)]
        return Unicode.Scalar(UInt32.random(in: range, using: &self)) ?? "x"
    }

    mutating func string(maximum: Int = 12) -> String {
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...maximum, using: &self) {
            text.append(scalar())
        }
        return String(text)
    }

    /// A finite double of random bits, or one from where formats change.
    mutating func double() -> Double {
        switch Int.random(in: 0..<4, using: &self) {
        case 0:
            let power = Int.random(in: -25...25, using: &self)
            return Double("\(Int.random(in: -9999...9999, using: &self))e\(power)") ?? 0
        case 1:
            return Double(Int64.random(in: -(1 << 60)...(1 << 60), using: &self))
        default:
            let value = Double(bitPattern: next())
            return value.isFinite ? value : 0.1
        }
    }

    /// A value whose every integer a double holds, which is all that RFC 8785 knows.
    mutating func json(depth: Int = 4) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 9 : 6), using: &self) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &self))
        case 2: return .integer(Int64.random(in: -9_007_199_254_740_991...9_007_199_254_740_991, using: &self))
        case 3, 4: return .number(double())
        case 5: return .string(string())
        case 6:
            return .array((0..<Int.random(in: 0...5, using: &self)).map { _ in json(depth: depth - 1) })
        default:
            return .object(
                JSONObject((0..<Int.random(in: 0...6, using: &self)).map { _ in (string(maximum: 3), json(depth: depth - 1)) }))
        }
    }
}
