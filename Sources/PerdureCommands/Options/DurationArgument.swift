internal import ArgumentParser
internal import Perdure

/// A length of time on the command line: a whole number and `s`, `m`, `h` or `d`.
struct DurationArgument: ExpressibleByArgument {
    let duration: Duration

    init?(argument: String) {
        guard let unit = argument.last, let count = Int64(argument.dropLast()), count > 0 else { return nil }
        switch unit {
        case "s": duration = .seconds(count)
        case "m": duration = .minutes(count)
        case "h": duration = .hours(count)
        case "d": duration = .days(count)
        default: return nil
        }
    }
}
