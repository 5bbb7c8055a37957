internal import Perdure
internal import PerdureStore

extension StoreError {
    /// The error as the callers of a store get it. What PostgreSQL says in codes becomes a sentence with a way out.
    init(_ error: any Error) {
        switch error {
        case let error as StoreError: self = error
        case let error as ServerFailure: self.init(error)
        case let error as LinkFailure:
            self = error.mayHaveCommitted ? .outcomeUnknown(error.description) : .unavailable(error.description)
        case let error as ConnectFailure: self = error.storeError
        case let error as BadRow: self = error.isFromLater ? .unsupported(error.description) : .corrupt(error.description)
        default: self = .unavailable(String(describing: error))
        }
    }

    init(_ failure: ServerFailure) {
        switch failure.sqlState {
        case "08007", "40003": self = .outcomeUnknown("the server does not know how the transaction ended: \(failure)")
        case "25006":
            self = .unusable(
                .storeReadOnly,
                "The server cannot be written to: \(failure). It is a replica, or set to read-only: give the address of the one that leads."
            )
        case "28P01", "28000":
            self = .unusable(
                .storeRefused, "The server does not let this user in: \(failure). Correct user, password or pg_hba.conf.")
        case "42501":
            self = .unusable(
                .storeRefused, "The user lacks a right: \(failure). Grant it; docs/errors/store_refused.md says which are needed."
            )
        case "3D000":
            self = .unusable(
                .storeMissing, "The database does not exist: \(failure). Make it, or correct its name in the address.")
        case "26000", "42P05":
            self = .unusable(
                .usage,
                "A pooler between here and the server mixes up prepared statements: \(failure). \(PoolerCheck.remedy)"
            )
        case "53300": self = .unavailable("the server has no connection left: \(failure)")
        case "53100": self = .unavailable("the server's disk is full: \(failure)")
        case "57014":
            self = .unavailable("the server broke the statement off, as a limit of time or a person asked it to: \(failure)")
        case "57P01", "57P02", "57P03": self = .unavailable("the server is starting or stopping: \(failure)")
        case "XX001", "XX002": self = .corrupt("the database is damaged: \(failure). Restore it from a backup.")
        default: self.init(class: failure)
        }
    }

    private init(class failure: ServerFailure) {
        switch failure.sqlState.prefix(2) {
        case "40", "55": self = .unavailable("other transactions are in the way: \(failure)")
        case "22", "54": self = .corrupt("the server does not take the data: \(failure)")
        // A table or column is missing, or a row breaks a rule that the schema keeps: somebody changed the database.
        case "23", "3F", "42":
            self = .corrupt("the database does not hold what this version of Perdure put there: \(failure)")
        default: self = .unavailable("\(failure)")
        }
    }
}
