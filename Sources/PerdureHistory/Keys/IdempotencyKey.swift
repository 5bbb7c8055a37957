/// The stable names under which the other side of a step recognises it: the same on every attempt, after every crash.
///
/// `pk_` and 40 hexadecimal digits (160 bits of SHA-256 over a domain tag and the length-prefixed fields). Outside systems
/// remember these keys, so the derivation never changes.
package enum IdempotencyKey {
    /// The key of one step of one run.
    /// - Parameters:
    ///   - run: public id of the run.
    ///   - subject: the step's identity in the run.
    ///   - generation: 0, and one more after each reset that gives the step a new life.
    package static func derive(namespace: String, run: String, subject: String, generation: Int) -> String {
        render("perdure.key.step.1", [namespace, run, subject, String(generation)])
    }

    /// The key of a step with a business key, the same whichever run asks.
    package static func derive(namespace: String, stepName: String, businessKey: String, generation: Int) -> String {
        render("perdure.key.business.1", [namespace, stepName, businessKey, String(generation)])
    }

    /// The key of the undo of the step with `key`.
    package static func undo(of key: String) -> String {
        render("perdure.key.undo.1", [key, "undo"])
    }

    private static func render(_ domain: String, _ fields: [String]) -> String {
        var buffer = FieldBuffer(capacity: 256)
        buffer.append(prefixed: domain)
        for field in fields {
            buffer.append(prefixed: field)
        }
        return "pk_" + Hex.encode(buffer.sha256().bytes.prefix(20))
    }
}
