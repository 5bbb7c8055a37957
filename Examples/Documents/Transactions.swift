// What docs/effects.md shows of transactions. Each part between "begin" and "end" stands there word for word.

import Perdure
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
