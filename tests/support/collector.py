"""Receivers of measurements: an OpenTelemetry collector and a Prometheus Pushgateway."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from urllib.parse import unquote

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.support.serving import HttpServer, Reply, Request

_PROTOBUF = {"Content-Type": "application/x-protobuf"}


class Collector(HttpServer):
    """Takes spans by OTLP over HTTP; ``rejected`` is how many it says it didn't take."""

    def __init__(self, *, headers: dict[str, str] | None = None, rejected: int = 0) -> None:
        super().__init__()
        self.wanted = headers or {}
        self.rejected = rejected
        self.exports: list[ExportTraceServiceRequest] = []

    @property
    def spans(self) -> list[Span]:
        """Every span of the last export."""
        [resource] = self.exports[-1].resource_spans
        [scope] = resource.scope_spans
        return list(scope.spans)

    def respond(self, request: Request) -> Reply:
        """Decode what was sent."""
        if any(request.headers.get(name) != value for name, value in self.wanted.items()):
            return Reply(401)
        if request.path != "/v1/traces" or request.method != "POST":
            return Reply(404)
        if request.headers["Content-Type"] != "application/x-protobuf":
            return Reply(415)
        self.exports.append(ExportTraceServiceRequest.FromString(request.body))
        partial = ExportTracePartialSuccess(rejected_spans=self.rejected)
        answer = ExportTraceServiceResponse(partial_success=partial if self.rejected else None)
        return Reply(200, _PROTOBUF, answer.SerializeToString())


class Pushgateway(HttpServer):
    """Keeps the samples of each group; PUT replaces a group, as the real one does."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[tuple[tuple[str, str], ...], list[Sample]] = {}

    def respond(self, request: Request) -> Reply:
        """Take a push."""
        first, *rest = request.path.split("/")[1:]
        if request.method != "PUT" or first != "metrics" or rest[0].partition("@")[0] != "job":
            return Reply(404)
        if not request.headers["Content-Type"].startswith("text/plain; version=0.0.4"):
            return Reply(400)
        group = tuple(
            _label(name, value) for name, value in zip(rest[::2], rest[1::2], strict=True)
        )
        families = text_string_to_metric_families(request.body.decode())
        self.groups[group] = [sample for family in families for sample in family.samples]
        return Reply(200)


def _label(name: str, value: str) -> tuple[str, str]:
    plain, at, kind = name.partition("@")
    if not at:
        assert value
        return plain, unquote(value)
    assert kind == "base64"
    return plain, "" if value == "=" else urlsafe_b64decode(value).decode()
