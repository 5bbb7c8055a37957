/// What is done to nodes, and to the database under them.
enum ClusterFault: String, Sendable {
    /// SIGKILL to a node.
    case kill
    /// SIGKILL to a node between an effect and its answer; it comes by chance, with the effects.
    case moment = "kill_after_effect"
    /// The code of a node's run traps between an effect and its answer, which ends the process; it comes by chance as well.
    case trap
    /// A node is killed, and comes back on a machine whose clock is an hour off.
    case clock = "clock_off"
    /// A node is asked to leave, hands its runs over, and comes back as the other release.
    case upgrade
    /// SIGSTOP to a node for longer than its lease, then SIGCONT.
    case freeze
    /// Every connection of a node ends.
    case cut = "connections_cut"
    /// A node is cut off for longer than its lease without being told: its packets vanish, or those of the servers.
    case partition
    /// The cable between a node and the servers is pulled, for longer than its lease: the node lives in a network of its own.
    case cable = "network_cut"
    /// The disk of the server is full for a while.
    case disk = "disk_full"
    /// The server is shut down, with every connection cut, and started again.
    case restart = "postgres_restart"
    /// The server and all of its processes are killed, and it is started again.
    case crash = "postgres_kill"
    /// The server is killed, and the replica that has confirmed every commit leads from then on; another one is made for it.
    case promotion
    /// The replica falls behind, the server is killed, and the replica leads from then on: what was committed last is lost.
    case lateReplica = "promotion_async"
    /// The server is killed, and an older copy of its folder is put in its place.
    case restore

    var isOfServer: Bool { [.restart, .crash, .promotion, .disk].contains(self) || losesCommits }
    /// Whether history goes back.
    var losesCommits: Bool { self == .lateReplica || self == .restore }

    /// How often, of a hundred.
    static let weights: [(ClusterFault, Int)] = [
        (.kill, 34), (.upgrade, 10), (.freeze, 11), (.cut, 10), (.partition, 8), (.cable, 8), (.clock, 6), (.restart, 3),
        (.crash, 5), (.promotion, 3), (.disk, 2),
        (.lateReplica, 2), (.restore, 1),
    ]

    /// Those that lose nothing. Where commits are lost less can be compared in the end, so that these are asked for by name.
    static var usual: [ClusterFault] { weights.map(\.0).filter { !$0.losesCommits } }

    /// One of these, as often as its weight among theirs says; nil if there are none.
    static func random(of kinds: [ClusterFault], using random: inout some RandomNumberGenerator) -> ClusterFault? {
        weights.filter { kinds.contains($0.0) }.flatMap { Array(repeating: $0.0, count: $0.1) }.randomElement(using: &random)
    }
}
