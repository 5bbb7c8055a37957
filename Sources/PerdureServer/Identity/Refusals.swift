internal import Foundation
internal import Logging
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// Attempts of known callers at what they had no right to, minute by minute: a row for each caller, operation and minute that counts, so
/// that nobody fills the store by trying. Where somebody has no right at all it is one row a minute, among those of no namespace.
struct Refusals: Sendable {
    static let kind = "refusals"
    static let keptFor = Duration.seconds(90 * 86_400)

    let client: Client
    let now: @Sendable () -> Timestamp
    var logger = Logger(label: "perdure.http")

    /// - Parameters:
    ///   - operation: What was asked for, as the description or the page names it.
    ///   - subject: Of which run, if of one.
    func record(_ caller: Caller, _ operation: String, of subject: String?, in namespace: String?, _ problem: Problem) async {
        guard Self.codes.contains(problem.code) else { return }
        // In a namespace, by whoever has something there; everything else that somebody tries makes one row a minute.
        let place = namespace.flatMap { caller.rights.allow(.view, in: $0) ? $0 : nil }
        await record(caller.principal, operation, of: subject, in: place, isNear: place != nil, problem)
    }

    /// Of what is known to be no right. What a page of another site, or an old form, has somebody do is not their attempt.
    private static let codes: Set = ["right_missing", PerdureError.Code.approvalNotPermitted.rawValue]

    private func record(
        _ caller: Principal, _ operation: String, of subject: String?, in namespace: String?, isNear: Bool, _ problem: Problem
    ) async {
        let at = now(), minute = at.microseconds / 60_000_000
        // The latest stand first.
        let place = String(format: "%016llx", Int64.max - minute)
        let who = Hex.encode(
            SaltedDigest.plain(Array("\(caller.id)\u{0}\(caller.authentication)\u{0}\(isNear ? operation : "")".utf8)).prefix(12))
        let key = ControlKey(Self.kind, "\(namespace ?? Rights.everywhere)/\(place)/\(who)")
        do {
            for _ in 0..<5 {
                let row = try await client.guarded { try await client.store.control(key) }
                var members: JSONObject = [
                    "at": .string(at.date.formatted(.iso8601)), "by": .string(caller.description),
                    "authentication": .string(caller.authentication),
                    "operation": .string(operation), "code": .string(problem.code),
                ]
                members["subject"] = subject.map(JSONValue.string)
                let before = row.flatMap { try? JSONValue.parse($0.value, what: "a refusal")["times"]?.integerValue } ?? 0
                members["times"] = .integer(before + 1)
                let change = ControlChange.put(
                    key, on: row?.revision, value: JSONValue.object(members).canonicalBytes, due: at + Self.keptFor)
                if try await client.guarded({ try await client.store.changeControl(change) }) { return }
            }
            // Others counted five times meanwhile; the row is there.
        } catch {
            logger.error(
                "an attempt without the right to it could not be recorded",
                metadata: ["by": "\(caller)", "operation": "\(operation)", "error": "\(error)"])
        }
    }

    /// Newest first.
    ///
    /// - Returns: What was recorded, and behind which key the next ones stand.
    func page(in namespace: String, after: String?, limit: Int) async throws -> (found: [JSONValue], next: String?) {
        let begin = "\(namespace)/"
        let rows = try await client.guarded {
            try await client.store.controls(.all(kind: Self.kind, after: begin + (after ?? ""), limit: limit))
        }.prefix { $0.key.key.hasPrefix(begin) }
        let found = rows.compactMap { try? JSONValue.parse($0.value, what: "a refusal") }
        return (found, rows.count == limit ? rows.last.map { String($0.key.key.dropFirst(begin.count)) } : nil)
    }

    static let schema = Schema.named(
        "Refusal",
        .object([
            .must("at", .text(.time), "The last time within its minute."), .must("by", .text(.free(atMost: 2_000))),
            .must("authentication", .text(.free(atMost: 2_000))), .must("operation", .text(.free(atMost: 300))),
            .must("code", .text(.free(atMost: 100))), .may("subject", .text(.free(atMost: 300))),
            .must("times", .integer(1...Int64.max), "How often within the minute."),
        ]))
}
