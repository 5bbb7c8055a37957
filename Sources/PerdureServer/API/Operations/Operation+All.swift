extension Operation {
    /// Every operation there is.
    static let all: [Operation] =
        runs + history + messages + interventions + approvals + schedules + scheduleChanges + webhooksOut + webhooksIn + access
        + overview

    static let namespace = "/v1/namespaces/{namespace}", run = "\(namespace)/runs/{run}"
}
