import Foundation
import GRDB

/// Changes a file behind the engine's back.
enum Tampering {
    static func change(_ path: String, _ sql: String) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.write { try $0.execute(sql: sql) }
        try queue.close()
    }
}
