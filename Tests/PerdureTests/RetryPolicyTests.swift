import Perdure
import Testing

@Suite struct RetryPolicyTests {
    @Test("The delay doubles from its initial value up to its maximum")
    func growth() {
        let policy = RetryPolicy(jitter: 0)
        let delays = (1...10).map { policy.delay(afterAttempt: $0, random: 0.5) }
        #expect(delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300].map { Duration.seconds($0) })
    }

    @Test(
        "Whatever the attempt, the delay is at least the initial and at most the maximum one",
        arguments: [-1, 0, 1, 64, 65, Int.max])
    func bounds(attempt: Int) {
        let delay = RetryPolicy(jitter: 0).delay(afterAttempt: attempt, random: 0.5)
        #expect((Duration.seconds(1)...Duration.minutes(5)).contains(delay))
        #expect(attempt > 1 || delay == .seconds(1))
        #expect(attempt < 64 || delay == .minutes(5))
    }

    @Test("A growth that is no doubling goes on as long as it is below its maximum")
    func slowGrowth() {
        let policy = RetryPolicy(multiplier: 1.01, maximumDelay: .hours(1), jitter: 0)
        #expect(policy.delay(afterAttempt: 65, random: 0.5) > policy.delay(afterAttempt: 64, random: 0.5))
        #expect(policy.delay(afterAttempt: 1_000, random: 0.5) == .hours(1))
        #expect(RetryPolicy(multiplier: 1, jitter: 0).delay(afterAttempt: 1_000, random: 0.5) == .seconds(1))
    }

    @Test("Jitter moves the delay by at most its share, up and down", arguments: [0.0, 0.2, 0.5, 1.0])
    func jitter(share: Double) {
        let policy = RetryPolicy(initialDelay: .seconds(10), jitter: share)
        let least = policy.delay(afterAttempt: 1, random: 0), most = policy.delay(afterAttempt: 1, random: 0.999_999)
        #expect(least == max(.microseconds(Int64((10_000_000 * (1 - share)).rounded(.down))), .microseconds(1)))
        #expect(most <= .microseconds(Int64(10_000_000 * (1 + share))))
        #expect(share == 0 || most > .seconds(10))
        #expect(policy.delay(afterAttempt: 1, random: 0.5) == .seconds(10))
    }

    @Test("The longest delays that a Duration holds do not trap")
    func longest() {
        let policy = RetryPolicy(
            initialDelay: .seconds(Int64.max), multiplier: 1e300, maximumDelay: .seconds(Int64.max), jitter: 1)
        for random in [0, 0.5, 0.999_999] {
            for attempt in [1, 2, 64, 10_000] { #expect(policy.delay(afterAttempt: attempt, random: random) > .zero) }
        }
    }

    @Test("A heartbeat timeout is none unless it is given, and at least a millisecond")
    func heartbeatTimeout() {
        #expect(StepPolicy().heartbeatTimeout == nil)
        #expect(StepPolicy(heartbeatTimeout: .zero).heartbeatTimeout == .milliseconds(1))
        var policy = StepPolicy(heartbeatTimeout: .seconds(5))
        policy.heartbeatTimeout = .seconds(-1)
        #expect(policy.heartbeatTimeout == .milliseconds(1))
        policy.heartbeatTimeout = nil
        #expect(policy.heartbeatTimeout == nil)
    }

    @Test("Values outside the range are moved into it, when they are given and when they are set")
    func clamped() {
        let given = RetryPolicy(
            initialDelay: .seconds(-1), multiplier: .nan, maximumDelay: .zero, jitter: .infinity, maximumAttempts: 0)
        #expect(given.initialDelay == .milliseconds(1))
        #expect(given.multiplier == 2)
        #expect(given.maximumDelay == .milliseconds(1))
        #expect(given.jitter == 0.2)
        #expect(given.maximumAttempts == 1)

        var set = RetryPolicy.default
        set.initialDelay = .seconds(-1)
        set.multiplier = .nan
        set.jitter = 7
        #expect(set.delay(afterAttempt: 1, random: 0.5) == .milliseconds(1))
        set.multiplier = .infinity
        set.maximumDelay = .seconds(-1)
        #expect(set.delay(afterAttempt: 9, random: 0.5) == .milliseconds(1))
        set.maximumAttempts = -3
        #expect(set.initialDelay == .milliseconds(1) && set.multiplier == 2 && set.maximumDelay == .milliseconds(1))
        #expect(set.jitter == 1 && set.maximumAttempts == 1)

        var step = StepPolicy.default
        step.attemptTimeout = .zero
        step.grace = .seconds(-1)
        #expect(step.attemptTimeout == .milliseconds(1) && step.grace == .zero)
    }

    @Test("The ready-made policies are what their names say")
    func readyMade() {
        #expect(RetryPolicy.default.maximumAttempts == nil)
        #expect(RetryPolicy.never.maximumAttempts == 1)
        #expect(RetryPolicy.limited(to: 3).exhaustion == .park)
        #expect(RetryPolicy.limited(to: 3).thenThrow.exhaustion == .thenThrow)
        #expect(StepPolicy.retry(.never).retry == .never)
        #expect(StepPolicy(attemptTimeout: .seconds(-1), grace: .seconds(-1)).attemptTimeout == .milliseconds(1))
        #expect(StepPolicy(attemptTimeout: .seconds(-1), grace: .seconds(-1)).grace == .zero)
    }
}
