public import PerdureEngine

extension WorkflowInventory {
    /// Puts together what is registered, what crash matrices have seen, and what real runs have recorded.
    ///
    /// ```swift
    /// let report = try await expectResumable({ GrantAccess(directory: $0) }, input: "ada", world: FakeDirectory.init)
    /// let inventory = WorkflowInventory(reports: [report]) { GrantAccess(directory: FakeDirectory()) }
    /// #expect(!inventory.stopsRuns, "\(inventory.markdown)")
    /// ```
    ///
    /// - Parameters:
    ///   - reports: Of crash matrices over these workflows.
    ///   - recorded: What `Client.workflowSightings()` gives for a store.
    ///   - workflows: Those whose code is here.
    public init(
        reports: [ResumabilityReport], recorded: [Sighting] = [], @WorkflowBuilder workflows: () throws -> [RegisteredWorkflow]
    ) rethrows {
        self.init(try workflows(), tried: reports.flatMap(\.sightings), recorded: recorded)
    }
}
