internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension ScheduleRow {
    static let columns = "schedules.namespace, schedules.id, schedules.version, schedules.due_at, schedules.document"

    init(_ row: Row) throws(BadRow) {
        self.init(
            key: ScheduleKey(namespace: try row.text(0), id: try row.text(1)), version: try row.integer(2),
            dueAt: try row.optionalInteger(3).map { Timestamp(microseconds: $0) }, document: try row.text(4))
    }
}
