/// A decimal number as digits and exponent, and its text by the rules of ECMA-262 `Number::toString`.
///
/// It serves `Double` and, beyond RFC 8785, the numbers that no `Double` holds: those keep all their digits.
package struct DecimalText: Hashable, Sendable {
    private var negative: Bool
    /// Significant digits as ASCII, without zeros at either end; empty for zero.
    private var digits: [UInt8]
    /// Where the point stands: the value is 0.digits × 10^point.
    private var point: Int

    private static let zero = UInt8(ascii: "0")

    /// Reads `[-]digits[.digits][(e|E)[+-]digits]`.
    /// - Returns: nil for anything else, or for an exponent beyond ±1,000,000,000.
    package init?(_ text: some Sequence<UInt8>) {
        negative = false
        digits = []
        point = 0
        var seenPoint = false
        var seenDigit = false
        var iterator = text.makeIterator()
        var exponent: Int?
        var first = true
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "-") where first:
                negative = true
            case Self.zero...UInt8(ascii: "9"):
                seenDigit = true
                if !seenPoint && !(digits.isEmpty && byte == Self.zero) { point += 1 }
                if seenPoint && digits.isEmpty && byte == Self.zero { point -= 1 }
                if !(digits.isEmpty && byte == Self.zero) { digits.append(byte) }
            case UInt8(ascii: ".") where !seenPoint:
                seenPoint = true
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                guard let value = Self.exponent(&iterator) else { return nil }
                exponent = value
            default:
                return nil
            }
            first = false
        }
        guard seenDigit else { return nil }
        point += exponent ?? 0
        while digits.last == Self.zero { digits.removeLast() }
        if digits.isEmpty {
            point = 0
            negative = false
        }
    }

    /// The shortest digits that read back as `value`; not for NaN and infinities.
    init?(_ value: Double) {
        self.init(value.description.utf8)
    }

    private static func exponent(_ iterator: inout some IteratorProtocol<UInt8>) -> Int? {
        var negative = false
        var value: Int?
        var first = true
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "-") where first: negative = true
            case UInt8(ascii: "+") where first: break
            case zero...UInt8(ascii: "9"):
                let next = (value ?? 0) * 10 + Int(byte - zero)
                guard next <= 1_000_000_000 else { return nil }
                value = next
            default: return nil
            }
            first = false
        }
        return value.map { negative ? -$0 : $0 }
    }

    /// Appends the text: plain digits for 1e-7 < |x| < 1e21, else one digit, point, the rest and an exponent with its sign.
    func write(to bytes: inout [UInt8]) {
        guard !digits.isEmpty else { return bytes.append(Self.zero) }
        if negative { bytes.append(UInt8(ascii: "-")) }
        let count = digits.count
        switch point {
        case ...21 where point >= count:
            bytes.append(contentsOf: digits)
            bytes.append(contentsOf: repeatElement(Self.zero, count: point - count))
        case 1...21:
            bytes.append(contentsOf: digits[..<point])
            bytes.append(UInt8(ascii: "."))
            bytes.append(contentsOf: digits[point...])
        case -5...0:
            bytes.append(contentsOf: [Self.zero, UInt8(ascii: ".")])
            bytes.append(contentsOf: repeatElement(Self.zero, count: -point))
            bytes.append(contentsOf: digits)
        default:
            bytes.append(digits[0])
            if count > 1 {
                bytes.append(UInt8(ascii: "."))
                bytes.append(contentsOf: digits[1...])
            }
            bytes.append(UInt8(ascii: "e"))
            bytes.append(point > 0 ? UInt8(ascii: "+") : UInt8(ascii: "-"))
            bytes.append(contentsOf: String(abs(point - 1)).utf8)
        }
    }

    package var text: String {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension JSONValue {
    /// The number in its one form: an integer if it is written as one and fits, a `Double` if that holds it exactly to the
    /// last digit written, all its digits otherwise.
    /// - Returns: nil if `text` is not a decimal number.
    static func number(text: some Collection<UInt8>) -> JSONValue? {
        let string = String(decoding: text, as: UTF8.self)
        if let integer = Int64(string) { return .integer(integer) }
        if let unsigned = UInt64(string) { return JSONValue(unsigned) }
        guard let decimal = DecimalText(text) else { return nil }
        if let double = Double(string), double.isFinite, DecimalText(double) == decimal {
            return .number(double)
        }
        return .decimal(decimal)
    }
}
