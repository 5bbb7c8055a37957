import Perdure

/// What is on a disk after its power was cut.
struct PowerCut: CustomStringConvertible {
    /// What becomes of what was written and not synced.
    enum Survivors: Hashable {
        case none, all
        /// As many of the calls as this, the last of them torn.
        case half
        /// Each call as a whole, not at all, or sector by sector: as it was, as it should be, or spoilt.
        case some(seed: UInt64)
    }

    /// How many entries of the record had come to pass.
    let entries: Int
    let survivors: Survivors

    var description: String { "power cut before entry \(entries), survivors: \(survivors)" }

    private static let sector = 512

    /// Every moment right before a sync, and the end; each with several fates of what was not synced. Up to the next sync more is
    /// promised to those outside, and nothing more is sure to be on the disk: the moment before it asks the most.
    static func all(of log: [DiskEntry], seeds: Int) -> [PowerCut] {
        moments(log).flatMap { moment in
            let seeded = (0..<seeds).map { Survivors.some(seed: UInt64(moment * 100 + $0)) }
            return ([.none, .all, .half] + seeded).map { PowerCut(entries: moment, survivors: $0) }
        }
    }

    /// The same moments, and nothing stays that was not synced.
    static func strict(of log: [DiskEntry]) -> [PowerCut] { moments(log).map { PowerCut(entries: $0, survivors: .none) } }

    private static func moments(_ log: [DiskEntry]) -> [Int] { log.indices.filter { log[$0].isSync } + [log.count] }

    /// What was known outside before.
    func notes(in log: [DiskEntry]) -> [String] { log.prefix(entries).compactMap(\.note) }

    /// The files as the next process finds them.
    func files(after log: [DiskEntry], from base: [String: [UInt8]] = [:]) -> [String: [UInt8]] {
        var files = base
        var open: [(name: String, entry: DiskEntry)] = []
        for entry in log.prefix(entries) {
            switch entry {
            case .create(let name), .write(let name, _, _), .truncate(let name, _), .delete(let name): open.append((name, entry))
            case .sync(let name):
                if name.hasSuffix("-wal") || name.hasSuffix("-journal") { Self.syncFolder(&open, &files, for: name) }
                for (_, entry) in open where Self.name(of: entry) == name { Self.apply(entry, to: &files) }
                open.removeAll { $0.name == name }
            case .lost(let name):
                // That a file is there, or is not, is its folder's.
                open.removeAll { $0.name == name && !$0.entry.isOfFolder }
            case .note: break
            }
        }
        survive(open.map(\.entry), &files)
        return files
    }

    /// The first sync of a journal or log that was made is one of its folder too: what was deleted before is gone for good.
    private static func syncFolder(
        _ open: inout [(name: String, entry: DiskEntry)], _ files: inout [String: [UInt8]], for name: String
    ) {
        guard let made = open.lastIndex(where: { if $0.name == name, case .create = $0.entry { true } else { false } }) else {
            return
        }
        let isDone = open.indices.map { index in
            if index < made, case .delete = open[index].entry { true } else { false }
        }
        for index in open.indices where isDone[index] { apply(open[index].entry, to: &files) }
        // What was done to a file before it was deleted is gone with it.
        let deleted = Dictionary(
            open.indices.filter { isDone[$0] }.map { (open[$0].name, $0) }, uniquingKeysWith: { max($0, $1) })
        open = open.indices.filter { index in deleted[open[index].name].map { index > $0 } ?? true }.map { open[$0] }
    }

    private func survive(_ entries: [DiskEntry], _ files: inout [String: [UInt8]]) {
        switch survivors {
        case .none: break
        case .all: for entry in entries { Self.apply(entry, to: &files) }
        case .half:
            let kept = (entries.count + 1) / 2
            for entry in entries.prefix(max(0, kept - 1)) { Self.apply(entry, to: &files) }
            guard kept > 0 else { return }
            if case .write(let name, let offset, let bytes) = entries[kept - 1] {
                Self.apply(.write(name, offset, Array(bytes.prefix(bytes.count / 2))), to: &files)
            }
        case .some(let seed):
            var generator = DerivedGenerator(state: seed)
            for entry in entries {
                switch UInt8.random(in: 0..<3, using: &generator) {
                case 0: continue
                case 1: Self.apply(entry, to: &files)
                default: for part in Self.sectors(of: entry, &generator) { Self.apply(part, to: &files) }
                }
            }
        }
    }

    private static func sectors(of entry: DiskEntry, _ generator: inout DerivedGenerator) -> [DiskEntry] {
        guard case .write(let name, let offset, let bytes) = entry else { return [entry] }
        var parts: [DiskEntry] = [], start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + sector - (offset + start) % sector)
            switch UInt8.random(in: 0..<8, using: &generator) {
            case 0..<3: break
            case 3:
                parts.append(
                    .write(name, offset + start, (start..<end).map { _ in UInt8.random(in: 0...255, using: &generator) }))
            default: parts.append(.write(name, offset + start, Array(bytes[start..<end])))
            }
            start = end
        }
        return parts
    }

    private static func name(of entry: DiskEntry) -> String? {
        switch entry {
        case .create(let name), .write(let name, _, _), .truncate(let name, _), .delete(let name), .sync(let name),
            .lost(let name):
            name
        case .note: nil
        }
    }

    private static func apply(_ entry: DiskEntry, to files: inout [String: [UInt8]]) {
        switch entry {
        case .create(let name): if files[name] == nil { files[name] = [] }
        case .write(let name, let offset, let bytes):
            let missing = offset + bytes.count - (files[name]?.count ?? 0)
            // In its place: a copy of the file for each write would take most of the time.
            if missing > 0 { files[name, default: []] += [UInt8](repeating: 0, count: missing) }
            files[name]?.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        case .truncate(let name, let size):
            let file = files[name] ?? []
            files[name] = Array(file.prefix(size)) + [UInt8](repeating: 0, count: max(0, size - file.count))
        case .delete(let name): files[name] = nil
        case .sync, .lost, .note: break
        }
    }
}

extension [String: [UInt8]] {
    /// The same for the same files, if the same is known beside them.
    func digest(_ notes: [String] = []) -> Int {
        var hasher = Hasher()
        hasher.combine(notes)
        for (name, bytes) in sorted(by: { $0.key < $1.key }) {
            hasher.combine(name)
            hasher.combine(bytes.count)
            bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
        }
        return hasher.finalize()
    }
}
