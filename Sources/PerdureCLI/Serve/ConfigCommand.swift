import ArgumentParser
import Foundation
import Perdure
import PerdureCommands
import PerdureHistory
import PerdureServer

/// What `perdure serve` would work with.
struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Shows the settings that 'perdure serve' would work with, and where each comes from.",
        discussion: """
            Takes the flags that 'serve' takes, looks into the same environment and file, and checks everything as 'serve' does. No password \
            is shown.

            Examples:
              perdure config
              perdure config --config /etc/perdure.json --json

            With --json: an object with settings, an array of objects with key, value (null where nothing is set) and source, which has
            kind (flag, variable, file or default), name, and of a file the line.
            """)

    @OptionGroup var options: ServeOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        do {
            let settings = try options.settings()
            _ = try ServeConfiguration(settings)
            try Output.put(json ? Self.json(settings) : Self.table(settings), to: STDOUT_FILENO)
        } catch let error as PerdureError {
            throw error.told
        }
    }

    private static func json(_ settings: Settings) -> String {
        JSONValue.object(JSONObject([("settings", .array(settings.entries.map(\.json)))])).canonicalText + "\n"
    }

    private static func table(_ settings: Settings) -> String {
        let rows =
            [["KEY", "VALUE", "FROM"]] + settings.entries.map { [$0.setting.key, $0.shown ?? "-", $0.origin.description] }
        let widths = (0..<2).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            (0..<2).map { row[$0].padding(toLength: widths[$0] + 2, withPad: " ", startingAt: 0) }.joined() + row[2] + "\n"
        }
        .joined()
    }
}
