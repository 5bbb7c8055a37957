// What docs/effects.md and docs/postgres.md show of transactions. Each part between "begin" and "end" stands there word for word.

import Perdure
import PerdurePostgres
import PerdureSQLite

struct Booking: Codable { var seat: String, guest: String }

func book(_ booking: Booking, _ context: WorkflowContext) async throws {
    // begin book
    try await context.act("book", input: booking, .transactional(in: .sqlite)) { booking, database in
        try database.execute("CREATE TABLE IF NOT EXISTS bookings (seat TEXT PRIMARY KEY, guest TEXT)")
        try database.execute("INSERT INTO bookings VALUES (?, ?)", booking.seat, booking.guest)
    } undo: { booking, database in
        try database.execute("DELETE FROM bookings WHERE seat = ?", booking.seat)
    }
    // end book
}

func reserve(_ booking: Booking, _ context: WorkflowContext) async throws {
    // begin reserve
    try await context.act("reserve", input: booking, .transactional(in: .postgres)) { booking, database in
        try database.execute("INSERT INTO seats (seat, guest) VALUES ($1, $2)", booking.seat, booking.guest)
    } undo: { booking, database in
        try database.execute("DELETE FROM seats WHERE seat = $1", booking.seat)
    }
    // end reserve
}
