import ArgumentParser
import Foundation
import PerdureServer

/// Every setting of `perdure serve` as a flag, and the file with the others.
struct ServeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Read settings from this JSON file. Default: $PERDURE_CONFIG, or none.", valueName: "file"))
    var config: String?
    @Option(help: ArgumentHelp("The store: a file, or the postgres:// URL of a database.", valueName: "path|url"))
    var store: String?
    @Option(help: ArgumentHelp("The namespaces to work for, with commas between them. Default: all.", valueName: "names"))
    var namespaces: String?
    @Option(
        help: ArgumentHelp("What the process is called where nodes are listed. Default: the machine's name.", valueName: "name"))
    var node: String?
    @Option(help: ArgumentHelp("How long histories of closed runs are kept. Default: for ever.", valueName: "time"))
    var retentionClosed: String?
    @Option(help: ArgumentHelp("How long the tombstones that are left of them are kept. Default: for ever.", valueName: "time"))
    var retentionTombstones: String?
    @Option(help: ArgumentHelp("Where histories are put before they are removed, if they have to be.", valueName: "folder"))
    var archiveFolder: String?
    @Option(help: ArgumentHelp("In which time every history is verified once.", valueName: "time"))
    var verificationRound: String?
    @Option(help: ArgumentHelp("How many events a second are read for that at most; 0 for none.", valueName: "count"))
    var verificationRate: String?
    @Option(help: ArgumentHelp("Where health can be asked for; port 0 takes any.", valueName: "host:port"))
    var healthAddress: String?
    @Option(help: ArgumentHelp("Whether that may be another address than one of this machine alone.", valueName: "true|false"))
    var healthExposed: String?
    @Option(help: ArgumentHelp("Where the API and the page are served. Default: nowhere.", valueName: "host:port"))
    var apiAddress: String?
    @Option(help: ArgumentHelp("The address that people and programs reach it by.", valueName: "url"))
    var apiUrl: String?
    @Option(help: ArgumentHelp("The file that says who may what.", valueName: "file"))
    var apiAccess: String?
    @Option(help: ArgumentHelp("How many requests of one caller are answered in a second.", valueName: "count"))
    var apiRate: String?
    @Option(help: ArgumentHelp("The certificate of the server, with its chain, as PEM.", valueName: "file"))
    var tlsCertificate: String?
    @Option(help: ArgumentHelp("Its key, as PEM.", valueName: "file"))
    var tlsKey: String?
    @Option(help: ArgumentHelp("Who makes certificates for clients, as PEM.", valueName: "file"))
    var tlsClients: String?
    @Option(
        help: ArgumentHelp("Whether webhooks may go to this machine and to private networks.", valueName: "true|false"))
    var hooksPrivate: String?
    @Option(help: ArgumentHelp("What is logged: trace, debug, info, notice, warning, error, critical.", valueName: "level"))
    var logLevel: String?
    @Option(help: ArgumentHelp("How long the process may take to end when it is told to.", valueName: "time"))
    var shutdownPatience: String?

    private var flags: [String: String] {
        let given: [(Setting, String?)] = [
            (.store, store), (.namespaces, namespaces), (.node, node), (.retentionClosed, retentionClosed),
            (.retentionTombstones, retentionTombstones), (.archiveFolder, archiveFolder),
            (.verificationRound, verificationRound), (.verificationRate, verificationRate), (.healthAddress, healthAddress),
            (.healthExposed, healthExposed), (.apiAddress, apiAddress), (.apiURL, apiUrl), (.apiAccess, apiAccess),
            (.apiRate, apiRate), (.tlsCertificate, tlsCertificate), (.tlsKey, tlsKey), (.tlsClients, tlsClients),
            (.hooksPrivate, hooksPrivate),
            (.logLevel, logLevel), (.shutdownPatience, shutdownPatience),
        ]
        return Dictionary(uniqueKeysWithValues: given.compactMap { setting, text in text.map { (setting.key, $0) } })
    }

    /// - Throws: `PerdureError` with `configuration_invalid`.
    func settings() throws -> Settings {
        try Settings(flags: flags, variables: ProcessInfo.processInfo.environment, file: config)
    }
}
