import Foundation
import Synchronization

/// The other side: does what it is asked, recognises keys, answers as its misfortunes have it, and counts. It is never killed.
final class SwarmLedger: Sendable {
    /// What happened to one thing.
    struct Entry: Sendable {
        var effects = 0
        var undos = 0
        /// Nobody can know what has become of it from what was said.
        var isLiedAbout = false
    }

    /// What the other side may say against better knowledge.
    enum Lie: CaseIterable, Sendable {
        /// That it is done, without doing anything; that something happened or did not, the other way round.
        case opposite
        /// That it surely was not done, after doing it.
        case refusal
        /// That a key is not known, and does it again.
        case oblivion
        /// Something that nobody understands.
        case nonsense
    }

    /// At the end of the name of a thing that is put off again and again at first, and so is its undo.
    static let stubborn = "!"
    /// At the beginning of the name of a thing that belongs to no run.
    static let shared = "shared"
    /// What all runs share, without what tells one time from the next.
    static func sharedThing(_ key: String) -> String { "\(shared)-\(key)-" }

    /// What befalls a worker between an effect and its answer.
    enum Moment: Sendable {
        case kill, trap
    }

    struct Counts: Sendable {
        var requests = 0
        var recognised = 0
        var refused = 0
        var unanswered = 0
        var probes = 0
    }

    /// One line from a worker.
    struct Request: Sendable {
        enum Kind: String {
            case effect = "e", undo = "u", probe = "p", undoProbe = "q"
            var isProbe: Bool { self == .probe || self == .undoProbe }
        }

        let kind: Kind
        let number: Int
        /// Without one the request is not recognised when it comes again.
        let key: String?
        /// Nothing is done after it.
        let deadline: Int64
        let resource: String

        /// Whether it is put off at first.
        var isPutOff: Bool { !kind.isProbe && resource.hasSuffix(stubborn) }

        init(_ kind: Kind, _ resource: String, key: String?, deadline: Int64) {
            (self.kind, self.resource, self.key, self.deadline) = (kind, resource, key, deadline)
            number = 0
        }

        init?(_ words: [Substring]) {
            guard let kind = words.first.flatMap({ Kind(rawValue: String($0)) }), words.count == (kind.isProbe ? 3 : 5),
                let number = Int(words[1])
            else { return nil }
            self.kind = kind
            self.number = number
            resource = String(words[words.count - 1])
            key = kind.isProbe || words[2] == "-" ? nil : String(words[2])
            deadline = kind.isProbe ? .max : Int64(words[3]) ?? 0
        }
    }

    private struct State {
        var random: SeededGenerator
        var entries: [String: Entry] = [:]
        var keys: Set<String> = []
        /// How often a thing, or its undo, was put off.
        var delays: [String: Int] = [:]
        var counts = Counts()

        /// - Returns: What is said; nil if it has been put off often enough.
        mutating func putOff(_ request: Request) -> String? {
            let delays = delays[request.kind.rawValue + request.resource, default: 0]
            guard delays < (request.kind == .undo ? 1 : 3) else { return nil }
            self.delays[request.kind.rawValue + request.resource] = delays + 1
            return request.kind == .undo ? "refused" : "busy"
        }
    }

    private let state: Mutex<State>
    private let hasTraps: Bool

    /// - Parameter hasTraps: Whether workers' code traps now and then.
    init(seed: UInt64, hasTraps: Bool = false) {
        state = Mutex(State(random: SeededGenerator(seed: ~seed)))
        self.hasTraps = hasTraps
    }

    var entries: [String: Entry] { state.withLock { $0.entries } }
    var counts: Counts { state.withLock { $0.counts } }

    /// Deals with a request, now or a moment later.
    ///
    /// - Parameter answer: Called with what is said, if anything is; and with what is to befall whoever asked instead.
    func take(_ request: Request, _ answer: @escaping @Sendable (_ words: String?, _ moment: Moment?) -> Void) {
        let (delay, fate, moment) = state.withLock { state in
            (
                Int.random(in: 0..<100, using: &state.random) < 30 ? Int.random(in: 1...60, using: &state.random) : 0,
                Int.random(in: 0..<100, using: &state.random), befalling(Int.random(in: 0..<4_000, using: &state.random))
            )
        }
        guard delay > 0 else { return answer(perform(request, fate, now: Self.now), moment) }
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(delay)) { [self] in
            answer(perform(request, fate, now: Self.now), moment)
        }
    }

    private func befalling(_ chance: Int) -> Moment? {
        switch chance {
        case 0, 1: .kill
        case 2: hasTraps ? .trap : nil
        default: nil
        }
    }

    private static var now: Int64 { Int64(Date().timeIntervalSince1970 * 1_000_000) }

    /// - Parameters:
    ///   - fate: From 0 to 99: whether it is done, and whether it is said so.
    ///   - now: In microseconds since 1970.
    func perform(_ request: Request, _ fate: Int, _ lie: Lie? = nil, now: Int64) -> String? {
        state.withLock { state in
            state.counts.requests += 1
            if lie != nil { state.entries[request.resource, default: Entry()].isLiedAbout = true }
            if request.kind.isProbe {
                state.counts.probes += 1
                if lie == .nonsense { return "perhaps" }
                let entry = state.entries[request.resource], count = request.kind == .probe ? entry?.effects : entry?.undos
                return ((count ?? 0) > 0) == (lie != .opposite) ? "yes" : "no"
            }
            if fate < 3 || now > request.deadline {
                state.counts.refused += 1
                return "down"
            }
            if lie == .opposite { return "ok" }
            if request.isPutOff, let delay = state.putOff(request) { return delay }
            if lie == .oblivion, let key = request.key { state.keys.remove(key) }
            if let key = request.key, !state.keys.insert(key).inserted {
                state.counts.recognised += 1
            } else if request.kind == .effect {
                state.entries[request.resource, default: Entry()].effects += 1
            } else {
                state.entries[request.resource, default: Entry()].undos += 1
            }
            if lie == .refusal { return "refused" }
            if lie == .nonsense { return "certainly" }
            switch fate {
            case 3..<6:
                return "failed"
            case 6..<8:
                state.counts.unanswered += 1
                return nil
            default:
                return "ok"
            }
        }
    }
}
