/// How what the code asks for today relates to what history recorded.
package enum InputFit: Hashable, Sendable {
    /// The same bytes.
    case identical
    /// Other bytes, but what was recorded, read as today's type and written again, is what the code asks for: a property was
    /// added with a default, or one that is no longer read was dropped.
    case equivalentAfterDecoding
    case different
}
