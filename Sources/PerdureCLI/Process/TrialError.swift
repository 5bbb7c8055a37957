/// Why a swarm or a trial could not be seen to its end.
struct TrialError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
