"""Receives OTLP over HTTP and over gRPC, and says what has come, a line of JSON for each request.

The first line has the ports. Each line of its input is a command:
  {"do": "answer", ...}   how the next request is answered, in place of "taken"; several wait in a queue:
                          "status", "headers", "message": an HTTP status, or the name of a gRPC one; "retry_after": seconds in RetryInfo
                          "rejected", "message": taken but for so many
                          "silent": never
                          "brief": taken, and what it has is not said
                          "stalls": over HTTP, the head and then nothing
  {"do": "down"}          stops listening, and ends all connections
  {"do": "up"}            listens again, at the same ports
Each is answered by a line when it is done.
It ends with its input.
"""
import base64, collections, concurrent.futures, contextlib, http.server, json, os, socket, sys, threading

import grpc
from google.protobuf import any_pb2, duration_pb2, json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

SIGNALS = {
    "traces": (trace_service_pb2.ExportTraceServiceRequest, trace_service_pb2.ExportTraceServiceResponse, "rejected_spans",
               trace_service_pb2_grpc.TraceServiceServicer, trace_service_pb2_grpc.add_TraceServiceServicer_to_server),
    "metrics": (metrics_service_pb2.ExportMetricsServiceRequest, metrics_service_pb2.ExportMetricsServiceResponse,
                "rejected_data_points", metrics_service_pb2_grpc.MetricsServiceServicer,
                metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server),
    "logs": (logs_service_pb2.ExportLogsServiceRequest, logs_service_pb2.ExportLogsServiceResponse, "rejected_log_records",
             logs_service_pb2_grpc.LogsServiceServicer, logs_service_pb2_grpc.add_LogsServiceServicer_to_server),
}
answers = collections.deque()
speaking = threading.Lock()


def say(value):
    with speaking:
        print(json.dumps(value), flush=True)


def with_hex_ids(value):
    """The JSON form has bytes in base64."""
    if isinstance(value, list):
        return [with_hex_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: base64.b64decode(item).hex() if key in ("trace_id", "span_id", "parent_span_id") else with_hex_ids(item)
            for key, item in value.items()}


def received(transport, signal, request, headers, size):
    answer = answers.popleft() if answers else {}
    brief = answer.get("brief")
    said = {} if brief else with_hex_ids(json_format.MessageToDict(request, preserving_proto_field_name=True))
    say({"transport": transport, "signal": signal, "request": said, "headers": headers, "size": size, "answer": answer})
    return answer


def response(signal, answer):
    _, kind, rejected, _, _ = SIGNALS[signal]
    taken = kind()
    if "rejected" in answer:
        setattr(taken.partial_success, rejected, answer["rejected"])
        taken.partial_success.error_message = answer.get("message", "")
    return taken


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        signal = self.path.rsplit("/", 1)[-1]
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {key.lower(): value for key, value in self.headers.items()}
        answer = received("http", signal, SIGNALS[signal][0].FromString(body), headers, len(body))
        if answer.get("silent"):
            threading.Event().wait()
        content = response(signal, answer).SerializeToString()
        self.send_response(answer.get("status", 200))
        for name, value in answer.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(content) + bool(answer.get("stalls"))))
        self.end_headers()
        if answer.get("stalls"):
            self.wfile.flush()
            threading.Event().wait()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


class HTTPServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.connections = []

    def process_request(self, connection, address):
        self.connections.append(connection)
        super().process_request(connection, address)

    def end_connections(self):
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def delimited(field, content):
    return bytes([field << 3 | 2, len(content)]) + content


def details(answer):
    """A google.rpc.Status with a RetryInfo; that package is not needed for so little."""
    if "retry_after" not in answer:
        return ()
    delay = duration_pb2.Duration(seconds=answer["retry_after"]).SerializeToString()
    info = any_pb2.Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=delimited(1, delay))
    return (("grpc-status-details-bin", delimited(3, info.SerializeToString())),)


def servicer(signal):
    def export(self, request, context):
        headers = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        answer = received("grpc", signal, request, headers, request.ByteSize())
        if answer.get("silent"):
            over = threading.Event()
            context.add_callback(over.set)
            over.wait()
        if "status" in answer:
            context.set_trailing_metadata(details(answer))
            context.abort(getattr(grpc.StatusCode, answer["status"]), answer.get("message", ""))
        return response(signal, answer)

    return type("Servicer", (SIGNALS[signal][3],), {"Export": export})()


class Servers:
    def __init__(self):
        self.http_port = self.grpc_port = 0

    def up(self):
        self.http = HTTPServer(("127.0.0.1", self.http_port), Handler)
        self.http_port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.grpc = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=8))
        for signal, (_, _, _, _, add) in SIGNALS.items():
            add(servicer(signal), self.grpc)
        self.grpc_port = self.grpc.add_insecure_port(f"127.0.0.1:{self.grpc_port}")
        self.grpc.start()

    def down(self):
        self.http.shutdown()
        self.http.server_close()
        self.http.end_connections()
        self.grpc.stop(0).wait()


servers = Servers()
servers.up()
say({"http": servers.http_port, "grpc": servers.grpc_port})
for line in sys.stdin:
    command = json.loads(line)
    if command["do"] == "answer":
        answers.append(command)
    else:
        getattr(servers, command["do"])()
    say({"done": command["do"]})
sys.stdout.flush()
os._exit(0)
