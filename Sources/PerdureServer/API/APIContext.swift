internal import Hummingbird
internal import NIOCore

/// The context of one request: it knows its connection, so that one that sends too much can be ended.
struct APIContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}
