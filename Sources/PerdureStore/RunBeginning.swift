package import PerdureHistory

/// What bringing a run into memory begins with.
package struct RunBeginning: Sendable {
    /// The first events of its history, in order.
    package var events: [Event]
    /// The first of its unread messages.
    package var inbox: InboxPage
    /// The latest `version.patched` event of each subject.
    package var patches: [Event]

    package init(events: [Event], inbox: InboxPage, patches: [Event]) {
        self.events = events
        self.inbox = inbox
        self.patches = patches
    }
}
