import Foundation

/// What this machine has for the faults that need more than a signal.
struct MachineTools {
    private let isRoot: Bool
    private let hasNetworks: Bool
    private let hasImages: Bool

    init() {
        isRoot = geteuid() == 0
        hasNetworks = FileManager.default.isExecutableFile(atPath: Self.ip)
        hasImages = FileManager.default.isExecutableFile(atPath: Self.makeFileSystem)
    }

    static let ip = "/usr/sbin/ip"
    static let makeFileSystem = "/usr/sbin/mkfs.ext4"

    /// Why a fault cannot be made here; nil if it can.
    func obstacle(to fault: ClusterFault) -> String? {
        switch fault {
        case .clock: WrongClock.compiler == nil ? "there is no C compiler: sudo apt-get install -y gcc" : nil
        case .cable:
            !isRoot
                ? "only root can make networks"
                : hasNetworks ? nil : "the package iproute2 is not installed: sudo apt-get install -y iproute2"
        case .disk:
            !isRoot
                ? "only root can mount a small disk"
                : hasImages ? nil : "the package e2fsprogs is not installed: sudo apt-get install -y e2fsprogs"
        default: nil
        }
    }

    /// Runs a program of the system to its end.
    static func run(_ program: String, _ arguments: [String]) throws {
        let process = Process(), output = Pipe()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw TrialError("\(program) \(arguments.joined(separator: " ")) failed: \(text)")
        }
    }
}

/// A network of its own for a node: a cable of which one end is in a namespace that has nothing else, and the other one here.
final class NodeNetwork {
    /// Of the end that is here.
    let address: String
    private let name: String

    /// - Parameter number: Of the network among all that there are on this machine, below 32,768.
    init(_ number: Int) throws {
        // Addresses that are set aside for trying networks out (RFC 2544), four for each cable.
        func address(_ end: Int) -> String { "198.\(18 + number / 16_384).\(number / 64 % 256).\(number % 64 * 4 + end)" }
        self.address = address(1)
        name = "perdure-\(number)"
        try ip("netns", "add", name)
        do {
            try ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            try ip("address", "add", address(1) + "/30", "dev", name)
            try ip("-n", name, "address", "add", address(2) + "/30", "dev", "eth0")
            try ip("-n", name, "link", "set", "eth0", "up")
            try ip("-n", name, "link", "set", "lo", "up")
            try plug(true)
        } catch {
            remove()
            throw error
        }
    }

    /// What is put before a command to have it in this network.
    var command: [String] { [MachineTools.ip, "netns", "exec", name] }

    func plug(_ isIn: Bool) throws { try ip("link", "set", name, isIn ? "up" : "down") }

    /// The cable goes with it.
    func remove() { try? ip("netns", "delete", name) }

    private func ip(_ arguments: String...) throws { try MachineTools.run(MachineTools.ip, arguments) }
}

/// A small disk in a file, which can be filled up.
final class SmallDisk {
    let folder: URL
    private let image: URL
    private static let bytes: off_t = 4 << 30

    init(_ folder: URL) throws {
        self.folder = folder
        image = folder.appendingPathExtension("image")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        // It takes only what is written to it.
        guard FileManager.default.createFile(atPath: image.path, contents: nil), truncate(image.path, Self.bytes) == 0 else {
            throw TrialError("\(image.path) cannot be made")
        }
        try MachineTools.run(MachineTools.makeFileSystem, ["-q", "-m", "0", image.path])
        try MachineTools.run("/usr/bin/mount", ["-o", "loop", image.path, folder.path])
    }

    private var ballast: String { folder.appending(path: "ballast").path }

    /// Takes all of the room that is left.
    func fill() throws {
        let room = try FileManager.default.attributesOfFileSystem(forPath: folder.path)[.systemFreeSize] as? Int ?? 0
        try MachineTools.run("/usr/bin/fallocate", ["-l", "\(max(1, room - (1 << 20)))", ballast])
        // What the file system has kept for its own books.
        let rest = open(ballast, O_WRONLY | O_APPEND)
        let page = [UInt8](repeating: 0, count: 4_096)
        while write(rest, page, page.count) > 0 {}
        close(rest)
    }

    func free() { try? FileManager.default.removeItem(atPath: ballast) }

    func remove() {
        for _ in 0..<50 {
            if (try? MachineTools.run("/usr/bin/umount", [folder.path])) != nil { break }
            usleep(100_000)
        }
        try? FileManager.default.removeItem(at: image)
    }
}
