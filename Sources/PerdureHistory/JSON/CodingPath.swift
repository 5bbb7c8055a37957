/// Where in a value the encoder stands, as a list that shares its parents, so that going one level deeper copies nothing.
indirect enum CodingPath: Sendable {
    case root
    case key(String, parent: CodingPath)
    case index(Int, parent: CodingPath)

    /// The path in the form `Encoder` asks for.
    var keys: [any CodingKey] {
        var keys: [any CodingKey] = []
        var path = self
        while true {
            switch path {
            case .root:
                return keys.reversed()
            case .key(let name, let parent):
                keys.append(PathKey(stringValue: name))
                path = parent
            case .index(let index, let parent):
                keys.append(PathKey(index: index))
                path = parent
            }
        }
    }
}
