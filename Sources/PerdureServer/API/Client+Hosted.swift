internal import Foundation
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

extension Client {
    /// Where the code is here, what it cannot read is told before a run begins. A run that has begun under the key is found all the same,
    /// whatever the code reads by now.
    ///
    /// - Returns: The version to start on: what was asked for, or the newest whose code is here.
    /// - Throws: `PerdureError` with `input_undecodable` or the store's code.
    func versionToStart(
        _ workflow: String, _ version: WorkflowVersion?, json: Data, key: String?, in namespace: String,
        of workflows: WorkflowRegistry?
    ) async throws -> WorkflowVersion? {
        guard let hosted = try? workflows?.require(workflow, version: version),
            try await keyHolder(key, of: workflow, in: namespace) == nil
        else { return version }
        do {
            _ = try hosted.input(json: json, limit: Payload.defaultLimit)
        } catch let error as PayloadError {
            throw PerdureError(error)
        }
        return hosted.version
    }
}
