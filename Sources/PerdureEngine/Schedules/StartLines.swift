import PerdureStore

/// Why a schedule starts nothing for now, though it is due.
struct StartTrouble: Hashable {
    let text: String
    /// After how long to try again.
    let pause: Duration

    init(_ text: String, pause: Duration = .seconds(30)) {
        self.text = text
        self.pause = pause
    }

    init(queueUnknown name: String) { self.init("There is no queue '\(name)' in this namespace.") }
}

/// The schedules that a quota of their namespace keeps from starting, while all that is due is gone through once. When one is refused the
/// others are not tried: each is told when to come again, one after the other, so that at midnight a thousand schedules in a namespace of
/// one start in a second do not try a thousand times in each second.
struct StartLines {
    private var lines: [String: (refusal: QuotaRefusal, length: Int64)] = [:]
    /// A quota that was raised is found out after so long.
    private static let longest = Duration.seconds(60)

    /// What the one is told that has found out.
    mutating func begin(_ refusal: QuotaRefusal) -> StartTrouble {
        // Another one may want to keep less.
        guard refusal.quota != .payload else { return Self.trouble(refusal, place: 0) }
        lines[refusal.namespace] = lines[refusal.namespace] ?? (refusal, 0)
        return place(in: refusal.namespace) ?? Self.trouble(refusal, place: 0)
    }

    /// The next place in a namespace's line; `nil` as long as nobody was refused there.
    mutating func place(in namespace: String) -> StartTrouble? {
        guard let line = lines[namespace] else { return nil }
        lines[namespace]?.length += 1
        return Self.trouble(line.refusal, place: line.length)
    }

    private static func trouble(_ refusal: QuotaRefusal, place: Int64) -> StartTrouble {
        let turn = (refusal.wait ?? .seconds(30)) + min(refusal.spacing ?? .zero, longest) * Int(place)
        // Never two at one moment: of these the names would decide, and with more in a line than are looked at in one go the last ones by
        // name would never have a turn.
        return StartTrouble("A quota is used up: \(refusal).", pause: min(turn, longest) + .microseconds(place))
    }
}
