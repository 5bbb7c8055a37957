internal import Hummingbird
internal import NIOCore

/// What is known of a request beside itself.
struct APIContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection, so that it can be closed under whoever does not read.
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}
