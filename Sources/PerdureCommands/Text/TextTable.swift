/// Rows under a heading, each column as wide as its widest cell.
struct TextTable {
    let heading: [String]
    let rows: [[String]]
    /// The columns that are aligned to the right.
    var numbers: Set<Int> = []

    /// The heading, dimmed, and the rows.
    ///
    /// - Parameter paint: Gets each row's place and its whole line.
    func lines(_ style: Style, paint: (Int, String) -> String = { $1 }) -> [String] {
        let widths = widths
        return [style.dim(line(heading, widths))] + rows.enumerated().map { paint($0, line($1, widths)) }
    }

    /// The same where single cells are painted.
    ///
    /// - Parameter paint: Gets a cell's row and column, and the cell as wide as its column.
    func lines(_ style: Style, paintingCells paint: (Int, Int, String) -> String) -> [String] {
        let widths = widths
        return [style.dim(line(heading, widths))]
            + rows.enumerated().map { place, cells in line(cells, widths) { paint(place, $0, $1) } }
    }

    private var widths: [Int] {
        heading.indices.map { column in ([heading] + rows).map { $0[column].count }.max() ?? 0 }
    }

    private func line(_ cells: [String], _ widths: [Int], paint: (Int, String) -> String = { $1 }) -> String {
        var text = cells.indices.map { column in
            let cell = cells[column], width = widths[column]
            return paint(column, numbers.contains(column) ? cell.indented(to: width) : cell.padded(to: width))
        }
        .joined(separator: "  ")
        while text.hasSuffix(" ") { text.removeLast() }
        return text
    }
}
