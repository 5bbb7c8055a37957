internal import PerdureHistory

/// Why a value that has the right type cannot be.
struct Refusal: Error {
    let what: String
    init(_ what: String) { self.what = what }
}

extension Settings {
    func text(_ setting: Setting) -> String? {
        if case .text(let text) = self[setting].value { text } else { nil }
    }

    func number(_ setting: Setting) -> Int? {
        if case .number(let number) = self[setting].value { number } else { nil }
    }

    func span(_ setting: Setting) -> Duration? {
        if case .span(let span, _) = self[setting].value { span } else { nil }
    }

    func checked<Result>(_ setting: Setting, _ make: (Value) throws -> Result?) throws -> Result? {
        let entry = self[setting]
        guard let value = entry.value else { return nil }
        do {
            return try make(value)
        } catch let refusal as Refusal {
            throw setting.refused(entry.origin, refusal.what)
        }
    }
}
