"""OpenTelemetry against a collector of our own, and without one."""

import contextlib
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.integration.device_agent.agent_under_test import served

SCRIPT = "def init(): pass\ndef run(data): return 1 / int(data)\n"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


class Collector:
    """Takes OTLP over HTTP and keeps it."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.metrics: set[str] = set()

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            for traces in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {item.key: item.value.string_value for item in traces.resource.attributes}
                self.services.add(names["service.name"])
                self.spans += [span for scope in traces.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            for metrics in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.metrics |= {metric.name for scope in metrics.scope_metrics for metric in scope.metrics}


@contextlib.contextmanager
def collector() -> Iterator[tuple[str, Collector]]:
    """A collector on a free port of this machine."""
    kept = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept.take(self.path, gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_every_score_becomes_a_span_and_a_duration(tmp_path: Path) -> None:
    with (
        collector() as (url, kept),
        served(tmp_path, SCRIPT, OTEL_EXPORTER_OTLP_ENDPOINT=url, SERVICE_NAME="pump") as agent,
    ):
        agent.post(b"4", traceparent=f"00-{TRACE_ID}-b7ad6b7169203331-01", **{"x-request-id": "A"})
        agent.post(b"0")
        agent.stop()
        assert agent.exit_code() == 0
    good, bad = sorted(kept.spans, key=lambda span: span.start_time_unix_nano)
    attributes = {item.key: item.value for item in good.attributes}
    assert good.name == "POST /score"
    assert good.trace_id.hex() == TRACE_ID
    assert good.kind == Span.SPAN_KIND_SERVER
    assert good.end_time_unix_nano >= good.start_time_unix_nano
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["edgepack.request_id"].string_value == "A"
    assert bad.status.code == 2
    assert {item.key: item.value.bool_value for item in bad.attributes}["edgepack.script_failed"]
    assert kept.services == {"pump"}
    assert kept.metrics == {"http.server.request.duration"}


def test_a_collector_that_is_not_there_costs_nothing_but_log_lines(tmp_path: Path) -> None:
    with served(tmp_path, SCRIPT, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as agent:
        assert [agent.post(b"2").json() for _ in range(20)] == [0.5] * 20
        agent.stop()
        assert agent.exit_code(10.0) == 0


def test_without_the_packages_it_is_told_what_to_install(tmp_path: Path) -> None:
    hidden = tmp_path / "opentelemetry"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError('hidden', name='opentelemetry')\n")
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "PYTHONPATH": str(tmp_path)}
    with served(tmp_path, SCRIPT, **environment | {"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"}) as agent:
        assert agent.post(b"1").json() == 1.0
        assert "opentelemetry is not installed: add opentelemetry-sdk" in agent.log


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}
    with served(tmp_path, SCRIPT, **environment) as agent:
        assert "OpenTelemetry" not in agent.log
