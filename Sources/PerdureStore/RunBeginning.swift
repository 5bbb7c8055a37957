package import PerdureHistory

/// What bringing a run into memory begins with.
package struct RunBeginning: Sendable {
    /// The first events of its history, in order.
    package var events: [Event]
    /// Its unread messages, in the order of their numbers.
    package var inbox: [InboxRow]
    /// The latest `version.patched` event of each subject.
    package var patches: [Event]

    package init(events: [Event], inbox: [InboxRow], patches: [Event]) {
        self.events = events
        self.inbox = inbox
        self.patches = patches
    }
}
