internal import PerdureHistory

/// The shapes of answers, as `PerdureCommands` writes them for machines too.
extension Schema {
    private static let words = Schema.text(.free(atMost: 200)), sentence = Schema.text(.free(atMost: 100_000))
    private static let count = Schema.integer(0...Int64.max), time = Schema.text(.time), run = Schema.text(.run)

    static let states = [
        "queued", "ready", "running", "waiting", "blocked", "parked", "paused", "quarantined", "completed", "failed", "cancelled",
        "terminated",
    ]

    static let runShape = Schema.named(
        "Run",
        .object([
            .must("run", run), .must("namespace", .text(.identifier)), .must("workflow", words), .must("version", words),
            .may("key", .text(.free(atMost: 256))), .must("state", .text(.oneOf(states + ["continued"]))),
            .may("continued_as", run, "The run that goes on with its work."), .must("started_at", time), .may("closed_at", time),
            .may("expired_at", time, "When its history was removed."),
            .may("wakes_at", time, "When it is due by itself, while it waits."),
            .may("note", sentence, "Why it is blocked, parked, paused or quarantined."),
        ]))

    static let started = Schema.named(
        "Started", .object([.must("run", run), .must("new", .bool, "False if the run had the key already.")]))

    static let event = Schema.named(
        "Event",
        .object([
            .must("seq", .integer(1...Int64.max)), .must("at", time), .must("kind", words),
            .must("subject", .text(.free(atMost: 4_000))),
            .must("attributes", .any), .may("input", .any), .may("output", .any),
            .must("hash", words, "SHA-256 over this event and the hash of the one before; see docs/history-format.md."),
        ]))

    /// One event of a stream of server-sent events, as its lines are read.
    static let followed = Schema.named(
        "FollowedEvent",
        .object([
            .may("id", .text(.free(atMost: 20)), "The number of the event."), .may("event", words, "'end' for the last one."),
            .may("data", sentence, "The event as JSON, on one line."), .may("retry", count),
        ]))

    static let result = Schema.named(
        "Result",
        .object([
            .must("run", run, "The run that was asked for, or the last one that it was continued as."),
            .must("state", .text(.oneOf(states))), .may("output", .any, "What it came to, if it completed."),
            .may(
                "error", .object([.may("code", words), .may("message", sentence)]), "Why it did not complete, if it has ended."),
        ]))

    static let explanation = Schema.named(
        "Explanation",
        .object([
            .must("run", run), .must("state", .text(.oneOf(states + ["continued"]))),
            .must("sentences", .list(sentence, atMost: 10_000), "Why it is not moving, or what it does, for people."),
            .must(
                "moves",
                .list(
                    .object([
                        .must("command", .list(words, atMost: 100), "Words of the command line."), .must("meaning", sentence),
                    ]),
                    atMost: 10_000)),
        ]))

    static let stuckStep = Schema.named(
        "StuckStep",
        .object([
            .must("step", .text(.free(atMost: 4_000)), "What resolve and retry take."), .must("undo", .bool),
            .must("reason", .text(.oneOf(["in_doubt", "dead_letter"]))), .may("cause", words), .must("effect", words),
            .may("message", sentence),
            .may("quiet_until", time, "In doubt: until then the other side may still act."),
        ]))

    static let accepted = Schema.named(
        "Accepted",
        .object([.must("run", run), .must("accepted", .bool, "It is durable, and the run takes it in next.")]))

    static let approval = Schema.named(
        "Approval",
        .object([
            .must("run", run), .must("workflow", words), .must("step", .text(.free(atMost: 4_000))),
            .must("view", .any, "Exactly what is asked for: what a decision is about."),
            .must("digest", words, "Binds a decision to this view."), .must("approver", words),
            .must("requested_at", time), .may("expires_at", time),
        ]))

    static let question = Schema.named(
        "Question",
        .object([
            .must("run", run), .must("workflow", words), .must("question", .text(.free(atMost: 4_000))), .must("text", sentence),
            .must("approver", words, "Who may answer."), .must("requested_at", time), .may("expires_at", time),
        ]))

    static let counts = Schema.named("Counts", .map(.oneOf(states), count, atMost: 100))

    static let version = Schema.named(
        "Version",
        .object([
            .must("workflow", words), .must("version", words), .must("open", count),
            .must("runs", .map(.oneOf(states), count, atMost: 100)), .must("hosted", .bool), .must("takes_new_runs", .bool),
            .must("stranded", .bool, "Open runs need it and nobody hosts it."), .must("drained", .bool),
        ]))

    static let attempts = Schema.named(
        "Attempts",
        .object([
            .must("workflow", words), .must("closed", count), .must("at_first_attempt", count),
            .must("rate", .orNull(.number), "The share that came through at the first attempt, from 0 to 1."),
            .must("failed_attempts", count), .must("failed_by_engine", count), .must("unread", count),
        ]))

    static let node = Schema.named(
        "Node",
        .object([
            .must("node", words), .must("process", count), .must("host", .text(.free(atMost: 1_000))), .must("build", words),
            .must("hosted", .list(.list(words, atMost: 2), atMost: 10_000)), .must("since", time), .must("runs", count),
            .may("renewed_at", time), .must("overdue", .bool), .may("awaited", .bool),
        ]))

    static let queue = Schema.named(
        "Queue",
        .object([
            .must("queue", words), .must("namespace", words), .must("concurrency", .integer(Int64.min...Int64.max)),
            .may("per_key", count),
            .may("rate", .object([.must("count", count), .must("period_seconds", .number), .must("burst", count)])),
            .must("held", count), .must("holders", .map(.oneOf(states), count, atMost: 100)), .must("waiting", count),
            .must("waiting_keys", count), .must("closed", .bool), .must("changed_by", words), .must("changed_at", time),
        ]))

    /// Its members are those of `perdure schedules --json`.
    static let schedule = Schema.named(
        "Schedule",
        .object([
            .must("id", .text(.identifier)), .must("namespace", .text(.identifier)), .must("when", sentence),
            .must("workflow", words), .must("started", count), .must("skipped", count), .must("missed", count),
            .may("next_due", time), .may("paused_at", time), .may("note", sentence), .may("trouble", sentence),
        ]))

    static let verification = Schema.named(
        "Verification",
        .object([
            .must("run", run), .must("events", count), .must("sound", .bool), .must("proven_once", .bool),
            .must("resumed_safely", .bool), .must("takeovers", count), .must("closed", .bool), .must("closed_cleanly", .bool),
            .may("expired_after", count),
            .must(
                "problems",
                .list(.object([.may("seq", count), .must("rule", words), .must("message", sentence)]), atMost: 100_000)),
        ]))
}
