import Foundation
import Perdure
import PerdureSQLite
import PerdureStore
import Testing

/// The store alone on a disk that fails: at every single thing that it asks of the system, and by a power cut at any moment.
@Suite(.timeLimit(.minutes(5))) struct StoreDiskTests {
    private static let story = Task { try await StoreStory.undisturbed() }

    // MARK: One call fails

    @Test(arguments: DiskCall.allCases)
    func `whatever fails once, the store says so, has changed nothing, and does it when it is asked again`(_ call: DiskCall)
        async throws
    {
        try await goesOn(call, .once)
    }

    @Test func `a write that is cut short has changed nothing`() async throws { try await goesOn(.write, .cutShort) }

    @Test func `a disk that is full refuses what does not fit, and takes it when there is room`() async throws {
        try await goesOn(.write, .full)
    }

    /// Plays the story with a new file, and with one that is there. In every step the first such call fails, then in every step the second,
    /// and so on until no step has as many; what was refused is asked once more, and compared. Each call fails so; of those that are cut
    /// short, or find the disk full, every fourth.
    private func goesOn(_ call: DiskCall, _ manner: DiskFault.Manner) async throws {
        let story = try await Self.story.value, step = manner == .once ? 1 : 4
        let made = try await sweep(call, manner, step: step) { try await goesOn(story, steps: 0, from: [:], $0) }
        let used = try await sweep(call, manner, step: step) {
            try await goesOn(story, steps: story.steps.count, from: story.empty, $0)
        }
        #expect(made + used > 0, "\(call.rawValue) was never called")
    }

    /// - Parameter step: of how many calls one is tried.
    /// - Returns: 0 if the fault has never come about.
    private func sweep(
        _ call: DiskCall, _ manner: DiskFault.Manner, step: Int = 1, _ trial: (DiskFault) async throws -> Bool
    ) async throws -> Int {
        var number = 1
        while try await trial(DiskFault(call: call, number: number, manner: manner)) { number += step }
        return number - 1
    }

    /// - Returns: Whether the fault has come about.
    private func goesOn(_ story: StoreStory, steps: Int, from files: [String: [UInt8]], _ fault: DiskFault) async throws -> Bool {
        let disk = try FaultyDisk(files)
        defer { disk.remove() }
        var store: (any Store)?
        for index in 0...steps {
            disk.fail(fault)
            do {
                store = try await story.perform(index, store, disk)
                continue
            } catch let error as StoreError {
                disk.fail(nil)
                try check(error, story, before: index, isThere: !files.isEmpty, disk, fault)
            }
            do {
                store = try await story.perform(index, store, disk)
            } catch {
                Issue.record("\(fault): step \(index) is refused once more: \(error)")
                break
            }
        }
        let opened = try #require(store)
        disk.fail(fault)
        await opened.close()
        disk.fail(nil)
        #expect(try StoreStory.contents(disk) == story.states[steps + 1], "\(fault)")
        return disk.hasEverFailed
    }

    /// What is in the file after a step has failed with this error.
    /// - Parameter isThere: Whether the file was there before its opening.
    private func check(
        _ error: StoreError, _ story: StoreStory, before index: Int, isThere: Bool, _ disk: FaultyDisk, _ fault: DiskFault
    ) throws {
        let contents = try StoreStory.contents(disk), after = story.states[index + 1]
        let before = index == 0 && isThere ? after : story.states[index]
        switch error {
        // An opening consists of several transactions.
        case .unavailable: #expect(contents == before || index == 0 && contents == after, "\(fault), step \(index): \(error)")
        case .outcomeUnknown: #expect(contents == before || contents == after, "\(fault), step \(index): \(error)")
        default: Issue.record("\(fault), step \(index): \(error)")
        }
    }

    // MARK: Every call fails from then on

    @Test(arguments: [DiskCall.write, .sync, .open])
    func `on a disk that fails for good nothing is confirmed, and the next process finds all that was`(_ call: DiskCall)
        async throws
    {
        // What a broken disk holds is what it holds after one failure: many writes are alike.
        let story = try await Self.story.value, step = call == .write ? 6 : 1
        let made = try await sweep(call, .fromThenOn, step: step) { try await isLeft(story, steps: 0, from: [:], $0) }
        let used = try await sweep(call, .fromThenOn, step: step) {
            try await isLeft(story, steps: story.steps.count, from: story.empty, $0)
        }
        #expect(made + used > 0, "\(call.rawValue) was never called")
    }

    /// Plays the story until something is refused, which goes on, and leaves the file to the next process.
    private func isLeft(_ story: StoreStory, steps: Int, from files: [String: [UInt8]], _ fault: DiskFault) async throws -> Bool {
        let disk = try FaultyDisk(files)
        defer { disk.remove() }
        disk.fail(fault)
        var store: (any Store)?, failure: (StoreError, Int)?
        for index in 0...steps where failure == nil {
            do {
                store = try await story.perform(index, store, disk)
            } catch let error as StoreError {
                failure = (error, index)
                do {
                    _ = try await story.perform(index, store, disk)
                    Issue.record("\(fault): step \(index) is confirmed on a disk that fails")
                } catch is StoreError {}
            }
        }
        await store?.close()
        disk.fail(nil)
        if let (error, index) = failure {
            try check(error, story, before: index, isThere: !files.isEmpty, disk, fault)
        } else {
            #expect(try StoreStory.contents(disk) == story.states[steps + 1], "\(fault)")
        }
        try await StoreStory.goOn(disk)
        return disk.hasEverFailed
    }

    // MARK: The power is cut

    // Promise: 2
    @Test func `after a power cut at any moment all that was confirmed is there, and nothing by halves`() async throws {
        let breaches = try await Self.breaches(of: try await Self.story.value)
        #expect(breaches == [])
    }

    @Test func `a disk that does not do what it says of its syncs is found out`() async throws {
        let breaches = try await Self.breaches(of: try await StoreStory.undisturbed(lies: true))
        #expect(breaches.contains { $0.contains("was confirmed and is not there") })
    }

    private static func breaches(of story: StoreStory) async throws -> [String] {
        var found = Found(), breaches: [String] = []
        for cut in PowerCut.all(of: story.log, seeds: 2) {
            let files = cut.files(after: story.log)
            let breach = story.breach(try found.contents(files), confirmed: cut.confirmed(in: story.log))
            if let breach { breaches.append("\(cut): \(breach)") } else { try await found.goOn(files) }
        }
        return breaches
    }

    // MARK: A sync fails

    // Promise: 2
    @Test func `what a failing sync has lost is written again before it is confirmed`() async throws {
        let story = try await Self.story.value
        var found = Found()
        let failures = try await sweep(.sync, .once) { fault in
            let disk = try FaultyDisk()
            defer { disk.remove() }
            var store: (any Store)?
            for index in 0...story.steps.count {
                disk.fail(fault)
                if let done = try? await story.perform(index, store, disk) {
                    store = done
                } else {
                    store = try await story.perform(index, store, disk)
                }
                disk.note("\(index + 1)")
            }
            // Without being closed: that would write everything to the file.
            let log = disk.log
            await store?.close()
            for cut in PowerCut.strict(of: log) {
                let contents = try found.contents(cut.files(after: log))
                let breach = story.breach(contents, confirmed: cut.confirmed(in: log))
                #expect(breach == nil, "\(fault), \(cut)")
            }
            return disk.hasEverFailed
        }
        #expect(failures > 0)
    }

    // Promise: 2
    @Test(arguments: [StoreConfiguration.Role.engine, .client])
    func `nothing is confirmed on top of what an earlier process could not sync`(_ role: StoreConfiguration.Role) async throws {
        let story = try await Self.story.value
        var found = Found()
        let failures = try await sweep(.sync, .once) { fault in
            let first = try FaultyDisk()
            defer { first.remove() }
            first.fail(fault)
            var store: (any Store)?
            for index in 0...story.steps.count where !first.hasFailed {
                store = (try? await story.perform(index, store, first)) ?? store
            }
            // It ends as it is, and nobody has seen what became of its last words.
            let log = first.log, files = try first.files(), hasFailed = first.hasFailed
            await store?.close()
            guard hasFailed else { return false }
            let second = try FaultyDisk(files, log: log)
            defer { second.remove() }
            // A client makes no store of a file that has none.
            guard let next = try await StoreStory.takenOver(second, as: role) else { return true }
            // What its opening has found counts, as soon as it is open.
            for cut in PowerCut.strict(of: next.log) where cut.confirmed(in: next.log) > 0 {
                let contents = try found.contents(cut.files(after: next.log))
                let breach = next.breach(contents, confirmed: cut.confirmed(in: next.log))
                #expect(breach == nil, "\(fault), \(cut)")
            }
            return true
        }
        #expect(failures > 0)
    }
}

/// What stands in files that were looked at already: many power cuts come to the same.
private struct Found {
    private var contents: [Int: String] = [:]
    private var wentOn: Set<Int> = []

    mutating func contents(_ files: [String: [UInt8]]) throws -> String {
        let key = files.digest()
        if let known = contents[key] { return known }
        let disk = try FaultyDisk(files)
        defer { disk.remove() }
        let found: String
        do {
            found = try StoreStory.contents(disk)
        } catch {
            found = "unreadable: \(error)"
        }
        contents[key] = found
        return found
    }

    /// Has the next process go on with files, once.
    mutating func goOn(_ files: [String: [UInt8]]) async throws {
        guard wentOn.insert(files.digest()).inserted else { return }
        let disk = try FaultyDisk(files)
        defer { disk.remove() }
        try await StoreStory.goOn(disk)
    }
}

extension PowerCut {
    /// How many states of the story were told to somebody before.
    fileprivate func confirmed(in log: [DiskEntry]) -> Int { notes(in: log).last.flatMap { Int($0) } ?? 0 }
}
