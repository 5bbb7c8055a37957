/// What people are told while the store's history has gone back and was not recovered.
enum HoldText {
    static let sentence = "The store's history went back: nothing is begun until `perdure recover --restored` was run."
}
