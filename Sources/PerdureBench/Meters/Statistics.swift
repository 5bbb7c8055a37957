extension Collection where Element == Double {
    /// The value below which this share lies (0...1), by the nearest rank; zero for an empty collection.
    package func percentile(_ share: Double) -> Double {
        guard !isEmpty else { return 0 }
        let sorted = sorted()
        return sorted[Swift.min(sorted.count - 1, Int((Double(sorted.count) * share).rounded(.down)))]
    }

    package var median: Double { percentile(0.5) }
    var sum: Double { reduce(0, +) }
    package var mean: Double { isEmpty ? 0 : sum / Double(count) }
}
