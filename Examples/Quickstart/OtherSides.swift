import Foundation

// Stand-ins for the services that a real program calls. They print what reaches them, so that one sees that a second start does
// nothing a second time.

enum Payments {
    /// A provider that knows the key answers a repeated charge with the first one.
    static func charge(_ order: Order, key: String) async throws -> String {
        print("charging \(order.cents) cents, key \(key)")
        return "charge-for-\(order.id)"
    }

    static func refund(_ charge: String, key: String) async throws {
        print("refunding \(charge), key \(key)")
    }
}

enum Warehouse {
    static func ship(_ order: String) async throws {
        print("shipping order \(order)")
    }
}
