internal import HTTPTypes
internal import PerdureHistory

/// The description of the API in OpenAPI 3.1, made from the table of operations.
enum OpenAPIDocument {
    static let value: JSONValue = [
        "openapi": "3.1.0",
        "info": [
            "title": "Perdure", "version": "1",
            "description": .string(
                "Runs of durable workflows: starting them, looking at them, sending them messages, deciding for them. Every error is a "
                    + "problem document (RFC 9457) with a stable code. A call that changes something bears an Idempotency-Key: repeated "
                    + "under the same one it is done once."),
        ],
        "tags": .array(groups.map { ["name": .string($0)] }), "paths": .object(JSONObject(paths)),
        "components": ["schemas": .object(JSONObject(components))],
    ]

    private static var groups: [String] {
        Operation.all.reduce(into: []) { groups, operation in
            if !groups.contains(operation.group) { groups.append(operation.group) }
        }
    }

    private static var paths: [(String, JSONValue)] {
        Dictionary(grouping: Operation.all, by: \.path).map { path, operations in
            (path, .object(JSONObject(operations.map { ($0.method.rawValue.lowercased(), $0.document) })))
        }
    }

    private static var components: [(String, JSONValue)] {
        var all = Problem.schema.components
        for schema in Operation.all.flatMap({ $0.successes.compactMap(\.schema) }) {
            all.merge(schema.components) { first, _ in first }
        }
        return all.map { ($0.key, $0.value.document(isAnswer: true)) }
    }
}

extension Operation {
    fileprivate var document: JSONValue {
        var members: JSONObject = [
            "operationId": .string(id), "tags": [.string(group)], "summary": .string(summary),
            "responses": .object(JSONObject(answers)), "x-perdure-right": .string(right.rawValue),
        ]
        let parameters = parameters
        if !parameters.isEmpty { members["parameters"] = .array(parameters) }
        if let body {
            let schema: JSONValue = ["schema": body.document(isAnswer: false)]
            members["requestBody"] = [
                "required": true,
                "content": isSigned
                    ? ["application/json": schema, "application/cloudevents+json": schema] : ["application/json": schema],
            ]
        }
        return .object(members)
    }

    private var parameters: [JSONValue] {
        var parameters = pathParameters.map { name, rule -> JSONValue in
            ["name": .string(name), "in": "path", "required": true, "schema": .object(rule.document)]
        }
        parameters += query.map { parameter in
            let schema = parameter.schema.document(isAnswer: false)
            return [
                "name": .string(parameter.name), "in": "query", "required": false, "description": .string(parameter.about),
                "schema": parameter.repeats ? ["type": "array", "items": schema, "maxItems": 32] : schema,
            ]
        }
        if needsKey {
            parameters.append([
                "name": "Idempotency-Key", "in": "header", "required": true,
                "description": "A name for this request in double quotes. Repeated under the same one, it is done once.",
                "schema": ["type": "string", "pattern": .string(API.keyPattern)],
            ])
        }
        if isSigned { parameters += WebhookSignature.parameters }
        if isFollowed {
            parameters.append([
                "name": "Last-Event-ID", "in": "header", "required": false,
                "description":
                    "Goes on behind this event; in place of 'after'. Browsers send it by themselves when they connect again.",
                "schema": ["type": "string", "pattern": "^(0|[1-9][0-9]{0,17})$"],
            ])
        }
        return parameters
    }

    private var answers: [(String, JSONValue)] {
        let good = successes.map { success -> (String, JSONValue) in
            var answer: JSONObject = ["description": .string(success.about)]
            if let schema = success.schema {
                let type = success.isStream ? EventStream.mediaType : "application/json"
                answer["content"] = .object([type: ["schema": schema.document(isAnswer: true)]])
            }
            if success.status == .created {
                answer["headers"] = [
                    "Location": ["description": "Where it is.", "schema": ["type": "string", "format": "uri-reference"]]
                ]
            }
            return ("\(success.status.code)", .object(answer))
        }
        let bad = allRefusals.map { status -> (String, JSONValue) in
            let content: JSONValue = ["application/problem+json": ["schema": Problem.schema.document(isAnswer: true)]]
            var answer: JSONObject = ["description": .string(status.reasonPhrase), "content": content]
            if status == .serviceUnavailable || status == .tooManyRequests {
                answer["headers"] = [
                    "Retry-After": ["description": "Seconds to wait.", "schema": ["type": "integer", "minimum": 1]]
                ]
            }
            return ("\(status.code)", .object(answer))
        }
        return good + bad
    }
}
