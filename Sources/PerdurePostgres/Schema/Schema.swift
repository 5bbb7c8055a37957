/// The numbers by which a schema is known to be ours, and of which age.
enum Schema {
    /// Everything of the store is in this schema of the database. Statements name it, so that no setting of a connection or a user changes
    /// what they mean.
    static let name = "perdure"

    /// The newest version this code writes: the length of the list of migrations.
    static var version: Int64 { Int64(migrations.count) }

    /// The oldest version whose code can work with a schema of this one.
    static let oldestCompatible: Int64 = 1

    /// The first version whose code knows what a queued run is.
    static let withQueues: Int64 = 3

    /// One script for each version, applied in order and never changed once released.
    static let migrations: [String] = [version1, version2, version3, version4, version5, version6, version7, version8]
}
