import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Tells the running thread from all others of the process, also from those that are over.
///
/// It does not ask `pthread_self`: to the optimiser that is a constant of the function, and an asynchronous function, which may be on
/// another thread after each wait, would go on with the answer from before.
package enum ThreadIdentity {
    /// Never 0, so that 0 can stand for "no thread".
    package static var current: UInt {
        if let own = pthread_getspecific(place) { return UInt(bitPattern: own) }
        let own = last.add(1, ordering: .relaxed).newValue
        pthread_setspecific(place, UnsafeRawPointer(bitPattern: own))
        return own
    }

    private static let last = Atomic<UInt>(0)

    /// Where each thread keeps its own.
    private static let place: pthread_key_t = {
        var key = pthread_key_t()
        let error = pthread_key_create(&key, nil)
        precondition(error == 0, "this process has no room for thread-specific data")
        return key
    }()
}
