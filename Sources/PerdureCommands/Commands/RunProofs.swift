internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// The proofs that `verify` gives of a run and of those that are checked with it.
enum RunProofs {
    static func make(
        _ reports: [(record: RunRecord, report: HistoryVerifier.Report)], _ client: Client, _ environment: CommandEnvironment
    ) async throws -> [RunProof] {
        let rehearser = await rehearser(environment)
        var proofs: [RunProof] = []
        do {
            for (record, report) in reports {
                // The run may have gone on since it was checked.
                let events = Array(try await events(of: record, client).prefix(report.eventCount))
                proofs.append(RunProof(record, events, report, rehearsal: await rehearse(record, events, rehearser)))
            }
        } catch {
            await close(rehearser)
            throw error
        }
        await close(rehearser)
        return proofs
    }

    private typealias Rehearsing = Result<Rehearser, RunProof.NoRehearsal>

    /// A program that cannot make its workflows can still check everything else.
    private static func rehearser(_ environment: CommandEnvironment) async -> Rehearsing {
        do {
            return .success(try Rehearser(try await environment.workflows(), environment.engine))
        } catch {
            return .failure(.init("the code is not here: the workflows of this executable could not be made (\(error))"))
        }
    }

    private static func close(_ rehearser: Rehearsing) async {
        if case .success(let rehearser) = rehearser { await rehearser.close() }
    }

    private static func rehearse(
        _ record: RunRecord, _ events: [Event], _ rehearser: Rehearsing
    ) async -> Result<RunRehearsal, RunProof.NoRehearsal> {
        switch rehearser {
        case .failure(let error): .failure(error)
        case .success(let rehearser): .success(await rehearser.rehearse(RecordedRun(record: record, events: events)))
        }
    }

    private static func events(of record: RunRecord, _ client: Client) async throws -> [Event] {
        do {
            return try await client.history(of: record.id)
        } catch let error as PerdureError where error.isAboutOneHistory {
            return []
        }
    }
}
