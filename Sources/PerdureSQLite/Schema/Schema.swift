/// The numbers by which a file is known to be ours, and of which age.
enum Schema {
    /// "PRDU", in the header of the file.
    static let applicationID: Int64 = 0x5052_4455

    /// The newest version this code writes: the length of the list of migrations.
    static var version: Int64 { Int64(migrations.count) }

    /// The oldest version whose code can work with a file of this one.
    static let oldestCompatible: Int64 = 1

    /// The first version whose code knows what a queued run is.
    static let withQueues: Int64 = 3

    /// The first version whose code knows what to do after history went back.
    static let withRestorations: Int64 = 6

    /// One script for each version, applied in order and never changed once released.
    static let migrations: [String] = [version1, version2, version3, version4, version5, version6, version7]
}
