/// Where the public id of a child comes from: the same child of the same run always has the same id.
package enum ChildDerivation {
    /// 128 bits of SHA-256 over a domain tag and the length-prefixed fields, as two numbers.
    ///
    /// - Parameters:
    ///   - parent: public id of the run that starts the child.
    ///   - subject: the child's identity in that run.
    ///   - generation: 0, and one more after each reset that gives the child a new life.
    package static func bits(namespace: String, parent: String, subject: String, generation: Int) -> (UInt64, UInt64) {
        bits(["perdure.child.run.1", namespace, parent, subject, String(generation)])
    }

    /// The same for the run that continues another one, which happens to a run once. Nothing of its history is asked for: a run whose
    /// last events were lost is continued by the run that the lost ones have named.
    package static func bits(namespace: String, continuing run: String) -> (UInt64, UInt64) {
        bits(["perdure.continued.run.1", namespace, run])
    }

    /// The same for the run of a schedule's due time.
    ///
    /// - Parameter due: in microseconds since 1970.
    package static func bits(namespace: String, schedule: String, workflow: String, due: Int64) -> (UInt64, UInt64) {
        bits(["perdure.scheduled.run.1", namespace, schedule, workflow, String(due)])
    }

    private static func bits(_ fields: [String]) -> (UInt64, UInt64) {
        var buffer = FieldBuffer(capacity: 256)
        for field in fields { buffer.append(prefixed: field) }
        let digest = buffer.sha256().bytes
        func number(_ bytes: some Sequence<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        return (number(digest[0..<8]), number(digest[8..<16]))
    }
}
