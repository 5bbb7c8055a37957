import Foundation
import GRDB

/// Changes a file behind the engine's back.
enum Tampering {
    static func change(_ path: String, _ sql: String) throws {
        var configuration = Configuration()
        // The engine may be writing, on a disk that many tests share.
        configuration.busyMode = .timeout(60)
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.write { try $0.execute(sql: sql) }
        try queue.close()
    }
}
