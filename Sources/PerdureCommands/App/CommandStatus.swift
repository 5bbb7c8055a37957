package import Perdure

/// What the program exits with. Stable; the help of the program lists them.
package enum CommandStatus: Int32, Error, Sendable, CaseIterable {
    case success = 0
    /// The run that was waited for did not complete, a verification or check found something, or the answer was no.
    case failed = 1
    case usage = 2
    case notFound = 3
    /// Closed, decided, taken or used by somebody else.
    case conflict = 4
    case store = 5

    package var meaning: String {
        switch self {
        case .success: "done"
        case .failed:
            "the run that was waited for did not complete, a verification or check found something, a version is stranded, you "
                + "answered no, or an update was rejected"
        case .usage: "the command or a value in it makes no sense"
        case .notFound: "there is no such run, workflow, step, approval, question or schedule"
        case .conflict: "it is closed, decided already, or not permitted to you"
        case .store: "the store cannot be used, or a file of histories, or the output cannot be written"
        }
    }

    package init(_ code: PerdureError.Code) {
        switch code {
        case .runUnknown, .workflowUnknown, .approvalUnknown, .questionUnknown, .stepUnknown, .scheduleUnknown, .queueUnknown,
            .tokenUnknown:
            self = .notFound
        case .runClosed, .runExpired, .runConflict, .messageConflict, .approvalClosed, .approvalMismatch, .approvalNotPermitted,
            .questionClosed,
            .stepNotStuck,
            .keyConflict, .runPaused, .runNotPaused, .runNotRestored, .runRestored, .runResetting, .resetRefused, .forkRefused,
            .scheduleConflict, .scheduleBusy, .tokenConflict, .queueNeedsUpgrade, .quotaExceeded:
            self = .conflict
        case .usage, .nameInvalid, .labelInvalid, .inputUndecodable, .valueNotEncodable, .payloadTooLarge, .answerInvalid,
            .workflowDuplicate, .stepDuplicate, .cronInvalid, .zoneUnknown, .scheduleInvalid,
            .configurationInvalid:
            self = .usage
        case .storeNotOurs, .storeTooNew, .storeReadOnly, .storeLocked, .storeCorrupt, .storeUnavailable, .storeMissing,
            .storeRefused, .storeRestored,
            .historyFileInvalid, .historyFileTooNew, .outputUnwritable:
            self = .store
        default: self = .failed
        }
    }
}
