internal import HTTPTypes
internal import Hummingbird
internal import PerdureHistory

/// The files that every page names. Their address changes with what is in them, so that they are kept for good.
struct PageAssets: Sendable {
    private struct File: Sendable {
        let type: String
        let bytes: [UInt8]
    }

    private let files: [String: File] = [
        "page.css": File(type: "text/css; charset=utf-8", bytes: PackageResources.page_css),
        "page.js": File(type: "text/javascript; charset=utf-8", bytes: PackageResources.page_js),
        "icon.svg": File(type: "image/svg+xml", bytes: PackageResources.icon_svg),
    ]
    /// Where they are.
    let path: String

    init() {
        let all = files.sorted { $0.key < $1.key }.flatMap(\.value.bytes)
        path = "/assets/" + Hex.encode(SaltedDigest.plain(all).prefix(8))
    }

    func addRoutes(to router: Router<APIContext>) {
        for (name, file) in files {
            let headers: HTTPFields = [
                .contentType: file.type, .cacheControl: "public, max-age=31536000, immutable", .xContentTypeOptions: "nosniff",
            ]
            router.get(RouterPath("\(path)/\(name)")) { _, _ in
                Response(status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: file.bytes)))
            }
        }
    }
}
