/// A date of the Gregorian calendar, also for times before there was one.
struct CivilDay: Hashable, Sendable {
    let year: Int64
    /// 1...12
    let month: Int64
    /// 1...31
    let day: Int64

    /// - Parameter number: days since 1970-01-01.
    init(number: Int64) {
        // Years are counted from March, so that the leap day comes last, in eras of 400 years, which are all of one length.
        let shifted = number + 719_468
        let era = shifted.floorDivided(by: 146_097)
        let inEra = shifted - era * 146_097
        let yearInEra = (inEra - inEra / 1_460 + inEra / 36_524 - inEra / 146_096) / 365
        let inYear = inEra - (365 * yearInEra + yearInEra / 4 - yearInEra / 100)
        let monthFromMarch = (5 * inYear + 2) / 153
        day = inYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearInEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    init(year: Int64, month: Int64, day: Int64) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// Days since 1970-01-01.
    var number: Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = year.floorDivided(by: 400)
        let yearInEra = year - era * 400
        let inYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearInEra * 365 + yearInEra / 4 - yearInEra / 100 + inYear - 719_468
    }

    var firstOfNextMonth: Int64 {
        CivilDay(year: month == 12 ? year + 1 : year, month: month == 12 ? 1 : month + 1, day: 1).number
    }
}

extension Int64 {
    /// Rounded down, also below zero.
    func floorDivided(by divisor: Int64) -> Int64 {
        let (quotient, rest) = quotientAndRemainder(dividingBy: divisor)
        return rest < 0 ? quotient - 1 : quotient
    }

    /// Never negative for a positive divisor.
    func floorRemainder(by divisor: Int64) -> Int64 {
        let rest = self % divisor
        return rest < 0 ? rest + divisor : rest
    }
}
