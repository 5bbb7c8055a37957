internal import Dispatch
internal import Foundation
internal import PerdureStore
internal import Synchronization

/// Rings when another process has asked for it, by a notification on one of the channels that are listened to; now and then without a
/// reason; and whenever something may have been missed. It also asks others.
///
/// It has a link of its own: notifications inside of commits would make all nodes commit one after the other.
final class Bell: Sendable {
    private let core: BellCore

    /// - Parameters:
    ///   - interval: how often it rings without a reason.
    ///   - onTrouble: told once, on any thread, when the link is lost or cannot be had, and once with nil when it is there again.
    init(
        _ address: ServerAddress, options: ConnectionOptions = ConnectionOptions(), interval: Duration = .seconds(1),
        onTrouble: @escaping @Sendable (StoreError?) -> Void = { _ in }
    ) throws(StoreError) {
        core = BellCore(address, options, interval, onTrouble, try WakePipe())
    }

    deinit { stop() }

    /// Listens to a channel, from soon on until the bell is stopped.
    func listen(to channel: String) { core.change { $0.channels.insert(Self.name(channel)) } }

    /// Calls the handler, on the bell's thread, whenever it rings.
    func onNotification(_ handler: @escaping @Sendable () -> Void) -> OutsideWatch {
        let number = core.change { state in
            state.lastHandler += 1
            if !state.isStopped { state.handlers[state.lastHandler] = handler }
            return state.lastHandler
        }
        return OutsideWatch { [weak core] in core?.change { $0.handlers[number] = nil } }
    }

    /// Rings with those who listen to the channel, in other processes or on other bells. Those that are asked for while others are on
    /// their way are sent together.
    func ring(_ channel: String) { core.change { if !$0.isStopped { $0.pending.insert(Self.name(channel)) } } }

    /// Rings in this process alone, on the calling thread.
    func ringHere() { for handler in core.state.withLock({ Array($0.handlers.values) }) { handler() } }

    /// The server takes names of up to 63 bytes. A longer one becomes its hash (FNV-1a, the same in every process); should two be the
    /// same, a bell rings once too often.
    static func name(_ channel: String) -> String {
        guard channel.utf8.count > 63 else { return channel }
        let hash = channel.utf8.reduce(14_695_981_039_346_656_037 as UInt64) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        return "perdure \(String(hash, radix: 16))"
    }

    /// How many are called.
    var handlerCount: Int { core.state.withLock { $0.handlers.count } }

    /// Nobody is called any more. Who was to be told of something by now still is, if the server can be had at once. The bell's work and
    /// its link end soon after.
    func stop() {
        core.change { state in
            state.isStopped = true
            state.handlers = [:]
        }
    }

    /// The same, and waits until they have. A process that ends in the middle of it would take away under the link what it is opened with.
    func end() async {
        stop()
        await core.ended()
    }
}

/// What the bell and its thread share.
private final class BellCore: Sendable {
    struct State {
        var handlers: [Int: @Sendable () -> Void] = [:]
        var lastHandler = 0
        var channels: Set<String> = []
        /// The channels on which somebody is to be told.
        var pending: Set<String> = []
        var isStopped = false
        /// Whether its work has begun, and has ended.
        var hasBegun = false
        var hasEnded = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    let state = Mutex(State())
    private let address: ServerAddress
    private let options: ConnectionOptions
    private let interval: Duration
    private let onTrouble: @Sendable (StoreError?) -> Void
    private let wake: WakePipe
    /// Its thread, which has one piece of work.
    private let queue = DispatchQueue(label: "perdure.postgres.bell")

    init(
        _ address: ServerAddress, _ options: ConnectionOptions, _ interval: Duration,
        _ onTrouble: @escaping @Sendable (StoreError?) -> Void, _ wake: WakePipe
    ) {
        self.address = address
        self.options = options
        self.interval = interval
        self.onTrouble = onTrouble
        self.wake = wake
    }

    /// Changes what is wanted, and has the thread look at it; the first change starts the thread.
    @discardableResult
    func change<Result>(_ body: (inout State) -> Result) -> Result {
        let (result, starts) = state.withLock { state in
            let result = body(&state), starts = !state.hasBegun && !state.isStopped
            if starts { state.hasBegun = true }
            return (result, starts)
        }
        if starts { queue.async { self.work() } } else { wake.wake() }
        return result
    }

    /// Waits until its work has ended, if it has begun.
    func ended() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.hasBegun, !state.hasEnded {
                    state.waiting.append(continuation)
                    return false
                }
                return true
            }
            if isOver { continuation.resume() }
        }
    }

    // MARK: On the bell's thread

    private static let shortestPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(5)
    private static let notify = SQL("SELECT pg_notify(channel, '') FROM unnest($1) AS channel")

    /// What only the thread knows.
    private struct Place {
        var session: Session?
        var listened: Set<String> = []
        var nextAttempt = ContinuousClock.now
        var pause = BellCore.shortestPause
        var isInTrouble = false
    }

    private func work() {
        serveUntilStopped()
        let waiting = state.withLock { state in
            state.hasEnded = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for waiter in waiting { waiter.resume() }
    }

    private func serveUntilStopped() {
        var place = Place(), nextTick = ContinuousClock.now + interval
        while let (channels, pending) = wanted() {
            if !channels.isEmpty || !pending.isEmpty { serve(channels, pending, &place) }
            if isStopped { continue }
            // What the first look has come upon already would not wake the thread again.
            if hear(&place) { ring() }
            if nextTick <= .now {
                nextTick = .now + interval
                ring()
            }
            var until = nextTick
            var files = [(wake.reader, Readiness.reading)]
            if let session = place.session {
                files.append((session.link.socket, .reading))
            } else if !channels.isEmpty || !pending.isEmpty {
                until = min(until, place.nextAttempt)
            }
            if let ready = Readiness.wait(for: files, until: until), ready[0] { wake.drain() }
        }
    }

    private var isStopped: Bool { state.withLock { $0.isStopped } }

    /// What is to be done; nil at the end. What is pending is taken, and after the stop only that is done, once.
    private func wanted() -> (Set<String>, Set<String>)? {
        state.withLock { state in
            if state.isStopped, state.pending.isEmpty { return nil }
            defer { state.pending = [] }
            return (state.isStopped ? [] : state.channels, state.pending)
        }
    }

    private func ring() {
        for handler in state.withLock({ Array($0.handlers.values) }) { handler() }
    }

    private func serve(_ channels: Set<String>, _ pending: Set<String>, _ place: inout Place) {
        do {
            try connect(&place)
            guard let session = place.session else { return giveBack(pending) }
            var isLate = false
            for channel in channels.subtracting(place.listened).sorted() {
                try session.run("LISTEN \"\(channel.replacing("\"", with: "\"\""))\"")
                place.listened.insert(channel)
                isLate = true
            }
            // Before it listened, nobody would have told it.
            if isLate { ring() }
            if !pending.isEmpty { _ = try session.all(Self.notify, pending.sorted()) { _ in } }
            if place.isInTrouble {
                place.isInTrouble = false
                onTrouble(nil)
            }
            place.pause = Self.shortestPause
        } catch {
            // What the server itself refuses, it would refuse again.
            if !(error is ServerFailure) { giveBack(pending) }
            lose(&place, StoreError(error))
        }
    }

    private func connect(_ place: inout Place) throws {
        guard place.session == nil, place.nextAttempt <= .now else { return }
        place.listened = []
        place.session = Session(try Link.open(address), answerLimit: options.answerLimit)
    }

    private func giveBack(_ pending: Set<String>) {
        state.withLock { if !$0.isStopped { $0.pending.formUnion(pending) } }
    }

    private func lose(_ place: inout Place, _ error: StoreError) {
        place.session = nil
        place.nextAttempt = .now + place.pause
        place.pause = min(place.pause * 2, Self.longestPause)
        if !place.isInTrouble, !isStopped {
            place.isInTrouble = true
            onTrouble(error)
        }
    }

    /// Takes in what has come.
    /// - Returns: whether another has rung.
    private func hear(_ place: inout Place) -> Bool {
        guard let link = place.session?.link else { return false }
        guard link.isAlive() else {
            lose(&place, .unavailable("the connection that notifications come on was lost: \(link.complaint)"))
            return false
        }
        var isRung = false
        while let notification = link.nextNotification() { isRung = isRung || !notification.isOwn }
        return isRung
    }
}

/// Two ends of a pipe, by which one thread ends another one's wait for a socket.
private final class WakePipe: Sendable {
    let reader: Int32
    private let writer: Int32

    init() throws(StoreError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .unavailable("there is no pipe to be had: \(String(cString: strerror(errno)))") }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        reader = ends[0]
        writer = ends[1]
    }

    deinit {
        close(reader)
        close(writer)
    }

    /// A pipe that is full wakes as well.
    func wake() { _ = [1 as UInt8].withUnsafeBytes { write(writer, $0.baseAddress, 1) } }

    func drain() {
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(reader, &bytes, bytes.count) > 0 {}
    }
}
