"""OpenTelemetry export of requests, for those who set the standard OTEL_* variables and install the packages.

On when OTEL_EXPORTER_OTLP_ENDPOINT (or its _TRACES_ and _METRICS_ forms) names where to send to, by OTLP over HTTP;
OTEL_SDK_DISABLED=true turns it off. Every request to /score becomes a server span, a child of the caller's where
it sent `traceparent`, and a value of the histogram http.server.request.duration, both named as the semantic
conventions for HTTP name them, with the request's ids. Bodies are never sent. Export happens in threads of the SDK;
an endpoint that is not there costs log lines, never requests. What is left at the end has a second to go out.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from device_agent import __version__
from device_agent.http_message import Request
from device_agent.scorer import ScoringResult

_LOG = logging.getLogger("edgepack.agent")
_END_S = 1.0
_PREFIX = "OTEL_EXPORTER_OTLP_"


def wants_telemetry(environment: Mapping[str, str]) -> bool:
    """Whether the environment says where to send telemetry, and does not turn it off."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    return any(environment.get(f"{_PREFIX}{kind}ENDPOINT", "").strip() for kind in ("", "TRACES_", "METRICS_"))


class Telemetry:
    """Sends spans and durations. Raises ImportError when OpenTelemetry is not installed.

    The SDK reads endpoints, headers and timeouts from this process's environment.
    """

    def __init__(self, environment: Mapping[str, str], service_name: str, service_version: str) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        name = environment.get("OTEL_SERVICE_NAME", "").strip() or service_name
        resource = Resource.create({"service.name": name, "service.version": service_version})
        self._propagator = TraceContextTextMapPropagator()
        self._ends: list[Callable[[], object]] = []
        self._start_span: Callable[..., Any] | None = None
        self._record: Callable[..., Any] | None = None
        if self._is_set(environment, "TRACES_"):
            self._start_span = self._make_tracer(resource)
        if self._is_set(environment, "METRICS_"):
            self._record = self._make_histogram(resource)

    @staticmethod
    def _is_set(environment: Mapping[str, str], kind: str) -> bool:
        selected = environment.get(f"OTEL_{kind}EXPORTER", "otlp").strip().lower() in ("", "otlp")
        named = environment.get(f"{_PREFIX}ENDPOINT") or environment.get(f"{_PREFIX}{kind}ENDPOINT")
        return selected and bool(named)

    def _make_tracer(self, resource: Any) -> Callable[..., Any]:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._ends.append(provider.shutdown)
        return provider.get_tracer("edgepack", __version__).start_span

    def _make_histogram(self, resource: Any) -> Callable[..., Any]:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        provider = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
        self._ends.append(provider.shutdown)
        meter = provider.get_meter("edgepack", __version__)
        return meter.create_histogram("http.server.request.duration", "s", "Duration of requests to /score.").record

    def observe(self, request: Request, result: ScoringResult, duration_ns: int) -> None:
        """Tell of one request to /score that has just been answered. Never raises."""
        try:
            self._observe(request, result, duration_ns)
        except Exception:  # noqa: BLE001 - telemetry must not cost an answer
            _LOG.exception("A request could not be exported")

    def _observe(self, request: Request, result: ScoringResult, duration_ns: int) -> None:
        attributes: dict[str, Any] = {
            "http.request.method": request.method,
            "http.route": request.route,
            "http.response.status_code": result.status,
            "url.scheme": "http",
        }
        if self._record is not None:
            self._record(duration_ns / 1e9, attributes)
        if self._start_span is None:
            return
        from opentelemetry.trace import SpanKind, StatusCode

        end_ns = time.time_ns()
        sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.header.items()}
        attributes["url.path"] = request.path
        attributes["edgepack.request_id"] = request.ids.request_id.decode("latin-1")
        if request.ids.client_id:
            attributes["edgepack.client_request_id"] = request.ids.client_id.decode("latin-1")
        if result.exec_ms is not None:
            attributes["edgepack.run_ms"] = result.exec_ms
        attributes["edgepack.script_failed"] = bool(result.script_failed)
        span = self._start_span(
            f"{request.method} {request.route}",
            context=self._propagator.extract(sent),
            kind=SpanKind.SERVER,
            attributes=attributes,
            start_time=end_ns - duration_ns,
        )
        if result.status >= 500:
            span.set_status(StatusCode.ERROR)
        span.end(end_ns)

    def close(self) -> None:
        """Send what is left, for at most a second."""
        threads = [threading.Thread(target=end, daemon=True) for end in self._ends]
        for thread in threads:
            thread.start()
        deadline_s = time.monotonic() + _END_S
        for thread in threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))


def start_telemetry(environment: Mapping[str, str], service_name: str, service_version: str) -> Telemetry | None:
    """Telemetry if the environment asks for it; None, and a line in the log, when it is not installed."""
    if not wants_telemetry(environment):
        return None
    try:
        telemetry = Telemetry(environment, service_name, service_version)
    except ImportError as error:
        _LOG.warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but %s is not installed: add opentelemetry-sdk and "
            "opentelemetry-exporter-otlp-proto-http to the packages (edgepack[otel]). Nothing is exported",
            error.name,
        )
        return None
    _LOG.info("Requests are exported by OpenTelemetry")
    return telemetry
