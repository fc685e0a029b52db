"""The run as OpenTelemetry spans: one root, a child per stage, sent by OTLP over HTTP.

The protocol's own messages are used rather than the SDK: the SDK takes its endpoint, headers,
limits, resource and even whether it works at all from the environment, and writes to the global
log. Here, only what is passed in matters.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ign_deploy import __version__
from ign_deploy.errors import ConfigurationError
from ign_deploy.metrics import MeasuredStage, Measurement, label_value
from ign_deploy.net.client import DEFAULT_SERVICE, ServiceOptions
from ign_deploy.net.credentials import require_web_address

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?",
    re.ASCII,
)
_PATH = "/v1/traces"
_SERVICE = "ign-deploy"
_HINTS = {
    401: "check the authentication in the headers.",
    403: "check the authentication in the headers.",
    404: "check the URL: spans go to its /v1/traces.",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where spans go; made by ``otlp_endpoint``. ``headers`` contain secrets."""

    url: str
    headers: Mapping[str, str] = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values to mask."""
        return tuple(value for value in self.headers.values() if value)


@dataclass(frozen=True, slots=True)
class Parent:
    """The span that this run belongs to (W3C Trace Context)."""

    trace_id: bytes
    span_id: bytes
    is_sampled: bool


def otlp_endpoint(url: str, *, headers: str = "") -> Endpoint:
    """Return the endpoint; ``/v1/traces`` is added to a URL without it.

    ``headers`` are ``name=value,…`` with values percent-encoded, as OpenTelemetry defines them.
    Raises ConfigurationError for an unusable URL, or when the extra isn't installed.
    """
    require_web_address(url, what="the OpenTelemetry endpoint", is_private=bool(headers))
    _require_extra()
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    full = path if path.endswith(_PATH) else path + _PATH
    return Endpoint(parts._replace(path=full, fragment="").geturl(), parse_headers(headers))


def parse_headers(text: str) -> dict[str, str]:
    """Return the headers of ``name=value,…``; raises ConfigurationError, which shows no value."""
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = (each.strip() for each in part.partition("="))
        decoded = unquote(value)
        sound = re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) and decoded.isprintable()
        if not (equals and sound and decoded.isascii()):
            raise ConfigurationError(
                "the headers for OpenTelemetry are not name=value,name=value",
                hint="percent-encode commas and other special characters in values.",
            )
        found[name] = decoded
    return found


def parse_traceparent(text: str) -> Parent | None:
    """Read a ``traceparent``; None for anything else, which means to start a new trace."""
    match = _TRACEPARENT.fullmatch(text.strip())
    if match is None or (text.strip().startswith("00-") and len(text.strip()) != 55):
        return None
    sampled = bool(int(match[3], 16) & 1)
    return Parent(bytes.fromhex(match[1]), bytes.fromhex(match[2]), sampled)


def export_spans(
    endpoint: Endpoint,
    measurement: Measurement,
    *,
    env: Mapping[str, str],
    service: ServiceOptions = DEFAULT_SERVICE,
) -> None:
    """Send the run's spans, below the span that TRACEPARENT in ``env`` names, if any.

    Nothing is sent when that span says that its trace isn't sampled. Raises NetworkError when they
    aren't accepted, ConfigurationError when the extra isn't installed.
    """
    parent = parse_traceparent(env.get("TRACEPARENT", ""))
    if parent is not None and not parent.is_sampled:
        return
    _require_extra()
    with service.client(hints=_HINTS) as client:
        response = client.request(
            "POST",
            endpoint.url,
            title="exporting the spans",
            body=spans_request(measurement, parent=parent).SerializeToString(),
            headers={**endpoint.headers, "Content-Type": "application/x-protobuf"},
        )
    if rejected := _rejected(response.body):
        raise response.failure(
            f"{response.host} rejected {rejected} of them", hint="check the collector's log."
        )


def spans_request(measurement: Measurement, *, parent: Parent | None) -> ExportTraceServiceRequest:
    """Return the request's message; new ids each time."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

    resource = {"service.name": _SERVICE, "service.version": __version__}
    if measurement.environment:
        resource["deployment.environment.name"] = label_value(measurement.environment)
    spans = ScopeSpans(
        scope=InstrumentationScope(name=_SERVICE, version=__version__),
        spans=_spans(measurement, parent),
    )
    of_resource = ResourceSpans(
        resource=Resource(attributes=_attributes(resource)), scope_spans=[spans]
    )
    return ExportTraceServiceRequest(resource_spans=[of_resource])


def _spans(measurement: Measurement, parent: Parent | None) -> list[Span]:
    trace_id = parent.trace_id if parent is not None else _new_id(16)
    start = round(measurement.started_at.timestamp() * 1e9)
    root_attributes: dict[str, str | float] = {
        "ign_deploy.event": label_value(measurement.event),
        "ign_deploy.result": label_value(measurement.result),
        "ign_deploy.deployment.id": label_value(measurement.deployment_id),
        "ign_deploy.modules": ", ".join(
            f"{label_value(each.id)} {label_value(each.version)}"
            for each in measurement.modules[:50]
        ),
    }
    root_attributes |= {
        f"ign_deploy.gateways.{label_value(outcome)}": count
        for outcome, count in measurement.gateways.items()
    }
    root = _span(
        label_value(measurement.event),
        trace_id=trace_id,
        parent_id=parent.span_id if parent is not None else b"",
        times=(start, start + _nanoseconds(measurement.seconds)),
        attributes=root_attributes,
        failed=not measurement.is_success,
    )
    spans, end = [root], 0.0
    for stage in measurement.stages:
        begin = end if stage.begin is None else stage.begin
        end = begin + stage.seconds
        times = (start + _nanoseconds(begin), start + _nanoseconds(end))
        spans.append(_stage_span(stage, trace_id=trace_id, parent_id=root.span_id, times=times))
    return spans


def _stage_span(
    stage: MeasuredStage, *, trace_id: bytes, parent_id: bytes, times: tuple[int, int]
) -> Span:
    return _span(
        label_value(stage.name),
        trace_id=trace_id,
        parent_id=parent_id,
        times=times,
        attributes={"ign_deploy.result": label_value(stage.result)},
        failed=stage.result == "failed",
    )


def _span(
    name: str,
    *,
    trace_id: bytes,
    parent_id: bytes,
    times: tuple[int, int],
    attributes: Mapping[str, str | float],
    failed: bool,
) -> Span:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

    code = Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_OK
    return Span(
        trace_id=trace_id,
        span_id=_new_id(8),
        parent_span_id=parent_id,
        name=name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=times[0],
        end_time_unix_nano=times[1],
        attributes=_attributes({key: value for key, value in attributes.items() if value != ""}),
        status=Status(code=code),
        flags=1,  # sampled (W3C Trace Context 3.2.2.5)
    )


def _attributes(values: Mapping[str, str | float]) -> list[KeyValue]:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

    found: list[KeyValue] = []
    for key, value in values.items():
        if isinstance(value, str):
            any_value = AnyValue(string_value=value)
        elif isinstance(value, int):
            any_value = AnyValue(int_value=value)
        else:
            any_value = AnyValue(double_value=value)
        found.append(KeyValue(key=key, value=any_value))
    return found


def _rejected(body: bytes) -> int:
    """Return how many spans the collector rejected; 0 for a response that can't be read."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceResponse,
    )

    try:
        return int(ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans)
    except DecodeError:
        return 0


def _require_extra() -> None:
    try:
        import opentelemetry.proto.collector.trace.v1.trace_service_pb2  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "an OpenTelemetry endpoint is set, but OpenTelemetry isn't installed",
            hint="install ign-deploy[otel], or unset the endpoint.",
        ) from None


def _new_id(size: int) -> bytes:
    """Return a random id other than zero, which is invalid."""
    return (secrets.randbits(8 * size) or 1).to_bytes(size, "big")


def _nanoseconds(seconds: float) -> int:
    return max(0, round(seconds * 1e9))
