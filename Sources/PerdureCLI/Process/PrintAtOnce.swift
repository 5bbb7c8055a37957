import Foundation

/// Writes a line of what takes long. Whoever reads along through a pipe sees it as it comes.
func printAtOnce(_ line: String) {
    print(line)
    fflush(nil)
}
