internal import Foundation
internal import Perdure
internal import Synchronization

/// Writes text to a descriptor of this process.
package enum Output {
    /// Writes all of it. A reader that went away (`app list | head`) is no failure of ours.
    ///
    /// - Throws: `PerdureError` with `output_unwritable`.
    package static func put(_ text: String, to descriptor: Int32) throws {
        var text = text
        try text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = write(descriptor, rest.baseAddress, rest.count)
                if count >= 0 {
                    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
                    continue
                }
                switch errno {
                case EPIPE: return
                case EINTR: continue
                case EAGAIN:
                    // Somebody who shares the terminal or the pipe has made it so that nothing waits.
                    var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&ready, 1, -1)
                case let code:
                    throw PerdureError(
                        .outputUnwritable, "The output cannot be written: \(String(cString: strerror(code))).",
                        metadata: [("errno", "\(code)")])
                }
            }
        }
    }
}

/// The first text that could not be written while a command went on.
final class LostOutput: Sendable {
    private let state = Mutex<(any Error)?>(nil)
    var error: (any Error)? { state.withLock { $0 } }
    func note(_ error: any Error) { state.withLock { $0 = $0 ?? error } }
}
