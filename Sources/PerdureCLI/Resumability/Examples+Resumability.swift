import PerdureTesting

// What 'perdure resumability' tries.
extension Examples {
    static var resumability: [CrashMatrix] { Stories.all.map(\.matrix) }
}
