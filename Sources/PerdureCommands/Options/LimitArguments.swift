internal import ArgumentParser

/// A limit on the command line, or `none`.
struct LimitArgument<Value: ExpressibleByArgument>: ExpressibleByArgument {
    let value: Value?

    init?(argument: String) {
        if argument == "none" {
            value = nil
        } else if let value = Value(argument: argument) {
            self.value = value
        } else {
            return nil
        }
    }
}

/// A whole number that is not negative.
struct CountArgument: ExpressibleByArgument {
    let count: Int

    init?(argument: String) {
        guard let count = Int(argument), count >= 0 else { return nil }
        self.count = count
    }
}

/// Bytes: a whole number, alone or with `KB`, `MB`, `GB` or `TB`, which are powers of 1,000.
struct SizeArgument: ExpressibleByArgument {
    let bytes: Int64

    init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        let units: [String: Int64] = ["": 1, "B": 1, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000]
        guard let count = Int64(digits), let unit = units[argument.dropFirst(digits.count).uppercased()] else { return nil }
        let (bytes, isTooLarge) = count.multipliedReportingOverflow(by: unit)
        guard !isTooLarge else { return nil }
        self.bytes = bytes
    }
}
