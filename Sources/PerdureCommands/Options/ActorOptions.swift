internal import ArgumentParser
internal import Perdure

/// Who acts. On a file of one's own nobody can be authenticated; what is recorded says so.
struct ActorOptions: ParsableArguments {
    @Option(
        name: .customLong("as"),
        help: ArgumentHelp(
            "Act under another name. The user of the operating system is recorded too, and still cannot approve what they started.",
            valueName: "name"))
    var name: String?

    func principal(_ environment: CommandEnvironment) throws -> Principal {
        guard let name, name != environment.user else { return Principal(.human, environment.user) }
        guard Name.isKey(name) else {
            throw PerdureError(
                .nameInvalid, "The name given with --as cannot be recorded: use 1 to 256 bytes without control characters.")
        }
        return Principal(.human, name, namedBy: environment.user)
    }
}
