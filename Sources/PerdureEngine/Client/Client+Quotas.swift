public import Foundation
public import Perdure
import PerdureHistory
import PerdureStore

/// The quotas of a namespace, and what is taken of them.
public struct QuotaInfo: Sendable, Hashable {
    /// What it may take.
    public let quotas: NamespaceQuotas
    /// How many of its runs are open. More than the quota where it was lowered, or where runs have started others.
    public let openRuns: Int
    /// How many bytes of inputs and outputs its histories have; nil where they are not counted, which a quota of bytes asks for.
    public let payloadBytes: Int64?
    /// Who set the quotas last.
    public let changedBy: Principal
    /// When that was.
    public let changedAt: Date

    init(_ standing: QuotaStanding) {
        quotas = standing.quotas
        openRuns = Int(clamping: standing.openRuns)
        payloadBytes = standing.payloadBytes
        changedBy = standing.changedBy
        changedAt = standing.changedAt.date
    }
}

// Quotas of namespaces, from any process.
extension Client {
    /// Changes what a namespace may take. It need not have runs yet. When the call has returned, every start on every node of this release
    /// is held to it. Where a quota is lowered no run ends: nothing starts until there is room.
    ///
    /// What is taken already is counted: with the first quota of bytes, that is a look at every history of the namespace. Commits go on
    /// meanwhile.
    ///
    /// - Parameters:
    ///   - sender: Recorded as who has set it.
    ///   - change: Gets the quotas that hold, and says which are to. It may be called more than once, if others change the same namespace.
    /// - Returns: What holds now.
    /// - Throws: What `change` throws, and `PerdureError` with `name_invalid`, or `usage` if the client is confined.
    @discardableResult
    public func changeQuotas(
        of name: String, by sender: Principal, _ change: (inout NamespaceQuotas) throws -> Void
    ) async throws -> NamespaceQuotas {
        try requireOperator("change quotas")
        guard Name.isIdentifier(name) else {
            throw PerdureError(
                .nameInvalid,
                "'\(name.prefix(200))' cannot be the name of a namespace: use 1 to 128 letters, digits, '-', '_' and '.'.")
        }
        for _ in 0..<100 {
            let current =
                try await guarded { try await store.quotas() }.first { $0.namespace == name }?.quotas ?? NamespaceQuotas()
            var quotas = current
            try change(&quotas)
            // Where none are, the store takes away what is left of a call that was broken off.
            if quotas == current, !quotas.isUnlimited { return quotas }
            if try await set(QuotaChange(name, from: current, to: quotas, by: sender)) { return quotas }
        }
        throw PerdureError(.storeUnavailable, "Others change the quotas of namespace '\(name)' all the time; try again.")
    }

    /// The quotas of namespaces that have any, by their names, with what is taken of them.
    ///
    /// - Throws: `PerdureError` with the store's code.
    public func quotas() async throws -> [String: QuotaInfo] {
        let standings = try await guarded { try await store.quotas() }
        return Dictionary(standings.map { ($0.namespace, QuotaInfo($0)) }) { first, _ in first }
    }

    /// Asks again where it is not known what came of it: what stands there already is not changed twice.
    private func set(_ change: QuotaChange) async throws -> Bool {
        for _ in 0..<3 {
            do throws(StoreError) {
                return try await store.setQuotas(change)
            } catch {
                guard case .outcomeUnknown = error else { throw error.publicError }
            }
        }
        throw PerdureError(
            .storeUnavailable,
            "It is not known whether the quotas of namespace '\(change.namespace)' were changed; look, and try again.",
            mayHaveHappened: true)
    }
}

extension PerdureError {
    init(_ refusal: QuotaRefusal) {
        let advice =
            switch refusal.quota {
            case .openRuns: "start it again when some have ended"
            case .payload: "start it again when histories have expired"
            case .starts: "start it again in \(refusal.wait ?? .zero)"
            }
        var metadata = [
            ("namespace", refusal.namespace), ("quota", refusal.quota.rawValue), ("limit", "\(refusal.limit)"),
        ]
        if refusal.quota != .starts { metadata.append(("used", "\(refusal.used)")) }
        let text = refusal.description
        self.init(
            .quotaExceeded,
            "\(text.prefix(1).uppercased() + text.dropFirst()). Nothing was started; \(advice), or have the quota raised.",
            metadata: metadata, retryAfter: refusal.wait)
    }
}
