/// Names as both forms of export can have them.
enum MetricName {
    /// Letters, digits, `_` and `:`, with no digit first. Others become `_`.
    static func metric(_ label: String) -> String { clean(label, alsoColon: true) }

    /// The same without `:`. What begins with two `_` belongs to Prometheus itself.
    static func label(_ name: String, of kind: MetricFamily.Kind) -> String {
        let clean = clean(name, alsoColon: false)
        // The upper end of a range stands in `le`.
        if kind == .histogram, clean == "le" { return "label_le" }
        return clean.hasPrefix("__") ? "label" + clean : clean
    }

    private static func clean(_ text: String, alsoColon: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            let isDigit = ("0"..."9").contains(scalar)
            let fits =
                ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || scalar == "_" || isDigit
                || (alsoColon && scalar == ":")
            if isDigit, result.isEmpty { result.append("_") }
            result.unicodeScalars.append(fits ? scalar : "_")
        }
        return result.isEmpty ? "_" : result
    }
}
