/// A kind of store whose transactions the work of a step can be part of. The module of the store has the type that conforms, such as
/// `SQLiteDatabase` of PerdureSQLite.
public protocol TransactionalStore: Sendable {
    /// What the work is done with. It is lent for the length of one call.
    associatedtype Connection

    /// The name of the kind, for messages.
    static var name: String { get }
}

/// The effect of work that is a write in the very database in which the run's history is kept: the write and the event that records it
/// are one transaction, so that it happens exactly once.
///
/// The module of the store has what makes one: `.transactional(in: .sqlite)`. The work is done in a transaction of the store, together with
/// the record of its result. Crashes leave both or neither; an error of the body takes the write back, and is definite.
public struct TransactionalEffect<Store: TransactionalStore>: Sendable {
    package init() {}
}

/// Work that is done in a transaction of the run's store, with its types erased.
package struct TransactionCall: Sendable {
    package var store: any TransactionalStore.Type
    /// Takes the store's connection.
    package var body: @Sendable (Any) throws -> StepCall.Value

    init<Input: Sendable, Output: Codable & Sendable, Store: TransactionalStore>(
        in store: Store.Type, _ input: Input, _ body: @escaping @Sendable (Input, Store.Connection) throws -> Output
    ) {
        self.store = store
        self.body = { connection in try body(input, try Self.cast(connection, store)) }
    }

    fileprivate static func cast<Store: TransactionalStore>(_ connection: Any, _ store: Store.Type) throws -> Store.Connection {
        guard let connection = connection as? Store.Connection else {
            throw PerdureError(
                .contextMisused,
                "The store lends a \(type(of: connection)), but the step's work needs a \(Store.Connection.self).")
        }
        return connection
    }
}

/// The same of an undo, which takes the recorded output of its step.
package struct UndoTransaction: Sendable {
    package var body: @Sendable (StepCall.Value, Any) throws -> Void

    init<Output: Codable & Sendable, Store: TransactionalStore>(
        in store: Store.Type, of name: String, _ undo: @escaping @Sendable (Output, Store.Connection) throws -> Void
    ) {
        body = { value, connection in try undo(try recorded(value, of: name), try TransactionCall.cast(connection, store)) }
    }

    init<Input: Sendable, Store: TransactionalStore>(
        in store: Store.Type, taking input: Input, _ undo: @escaping @Sendable (Input, Store.Connection) throws -> Void
    ) {
        body = { _, connection in try undo(input, try TransactionCall.cast(connection, store)) }
    }
}

extension StepCall {
    /// A step whose work is a transaction. The caller adds the undo or the reason why there is none.
    init<Input: Codable & Sendable, Output: Codable & Sendable>(
        name: String, id: String?, key: String?, input: Input, policy: StepPolicy, approval: ApprovalRequirement?,
        returning: Output.Type, _ transaction: TransactionCall
    ) {
        let misplaced: Body = { _ in throw PerdureError(.historyMismatch, "the work of '\(name)' is a transaction of its store") }
        self.init(
            name: name, id: id, input: input, outputType: Output.self, effect: .transactional, policy: policy, businessKey: key,
            approval: approval, body: misplaced, probe: nil, undo: nil, irreversible: nil, transaction: transaction)
    }
}

extension UndoCall {
    init(_ transaction: UndoTransaction, of name: String) {
        let misplaced: Body = { _, _ in
            throw PerdureError(.historyMismatch, "the undo of '\(name)' is a transaction of its store")
        }
        self.init(isAtMostOnce: false, body: misplaced, probe: nil, transaction: transaction)
    }
}
