from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from ign_deploy import __version__
from ign_deploy.errors import ConfigurationError, NetworkError
from ign_deploy.metrics import MeasuredStage
from ign_deploy.metrics.spans import (
    export_spans,
    otlp_endpoint,
    parse_headers,
    parse_traceparent,
    spans_request,
)
from tests.support.collector import Collector
from tests.support.notices import HOSTILE, MEASURED, QUICK_SERVICE
from tests.support.serving import Reply, scripted_server, serving

NOON = 1_769_860_800 * 10**9
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def exported(env: dict[str, str] | None = None, **changes: Any) -> Collector:
    with serving(Collector()) as collector:
        export_spans(
            otlp_endpoint(collector.url),
            replace(MEASURED, **changes),
            env=env or {},
            service=QUICK_SERVICE,
        )
    return collector


def attributes(span: Span) -> dict[str, object]:
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value")))
        for each in span.attributes
    }


def test_stages_are_children_of_one_root_with_their_times() -> None:
    root, upload, install = exported().spans
    assert [root.name, upload.name, install.name] == ["deployment", "upload", "install"]
    assert root.parent_span_id == b""
    assert upload.parent_span_id == install.parent_span_id == root.span_id
    assert {each.trace_id for each in (root, upload, install)} == {root.trace_id}
    assert len({each.span_id for each in (root, upload, install)}) == 3
    assert (len(root.trace_id), len(root.span_id)) == (16, 8)
    times = [
        ((each.start_time_unix_nano - NOON) / 1e9, (each.end_time_unix_nano - NOON) / 1e9)
        for each in (root, upload, install)
    ]
    assert times == [(0, 83.25), (0, 4.5), (10, 70)]
    assert attributes(root) == {
        "ign_deploy.event": "deployment",
        "ign_deploy.result": "deployed",
        "ign_deploy.deployment.id": "d-1",
        "ign_deploy.modules": "com.example.pump 1.4.2",
        "ign_deploy.gateways.deployed": 2,
        "ign_deploy.gateways.failed": 1,
    }


def test_the_resource_says_who_it_is_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "OTEL_SDK_DISABLED": "true",
        "OTEL_SERVICE_NAME": "another-service",
        "OTEL_RESOURCE_ATTRIBUTES": "secret=s3cret",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=s3cret",
        "OTEL_TRACES_SAMPLER": "always_off",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "0",
    }.items():
        monkeypatch.setenv(name, value)
    collector = exported()
    [resource] = collector.exports[0].resource_spans
    found = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert found == {
        "service.name": "ign-deploy",
        "service.version": __version__,
        "deployment.environment.name": "production",
    }
    assert b"s3cret" not in collector.requests[0].body
    assert "s3cret" not in str(collector.requests[0].headers)


def test_what_failed_is_an_error() -> None:
    stages = (
        MeasuredStage("upload", 1.0),
        MeasuredStage("install", 1.0, "failed"),
        MeasuredStage("verify", 0.0, "skipped"),
    )
    spans = exported(is_success=False, stages=stages).spans
    error, ok = Status.STATUS_CODE_ERROR, Status.STATUS_CODE_OK
    assert [each.status.code for each in spans] == [error, ok, error, ok]
    starts = [each.start_time_unix_nano - NOON for each in spans]
    assert starts == [0, 0, 10**9, 2 * 10**9]


def test_the_run_is_part_of_the_trace_that_the_job_belongs_to() -> None:
    root, *stages = exported({"TRACEPARENT": f"00-{TRACE}-{PARENT}-01"}).spans
    assert root.trace_id.hex() == TRACE
    assert root.parent_span_id.hex() == PARENT
    assert {each.trace_id.hex() for each in stages} == {TRACE}


def test_a_trace_that_is_not_recorded_gets_nothing() -> None:
    assert exported({"TRACEPARENT": f"00-{TRACE}-{PARENT}-00"}).requests == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-1",
    ],
)
def test_a_traceparent_that_is_none_begins_a_new_trace(text: str) -> None:
    assert parse_traceparent(text) is None
    root = exported({"TRACEPARENT": text}).spans[0]
    assert root.parent_span_id == b""
    assert any(root.trace_id)


def test_a_later_version_of_traceparent_is_understood() -> None:
    parent = parse_traceparent(f"01-{TRACE}-{PARENT}-01-more")
    assert parent is not None
    assert parent.trace_id.hex() == TRACE


@given(st.text())
def test_any_text_is_a_traceparent_or_none(text: str) -> None:
    assert parse_traceparent(text) is None


def test_headers_are_sent_and_never_shown() -> None:
    headers = "Authorization=Bearer%20s3cret, X-Scope=a%2Cb"
    with serving(Collector(headers={"Authorization": "Bearer s3cret", "X-Scope": "a,b"})) as server:
        endpoint = otlp_endpoint(f"{server.url}/v1/traces", headers=headers)
        export_spans(endpoint, MEASURED, env={}, service=QUICK_SERVICE)
        wrong = otlp_endpoint(server.url, headers="Authorization=wr0ng")
        with pytest.raises(NetworkError, match="returned 401") as failure:
            export_spans(wrong, MEASURED, env={}, service=QUICK_SERVICE)
    assert len(server.exports) == 1
    assert endpoint.secrets == ("Bearer s3cret", "a,b")
    assert "s3cret" not in repr(endpoint)
    assert "wr0ng" not in failure.value.message + failure.value.hint


@pytest.mark.parametrize(
    "text", ["s3cret", "a b=s3cret", "=s3cret", "a=s3cret%0A", "a=s3cret%C3%A4"]
)
def test_headers_that_are_none_are_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        parse_headers(text)
    assert "s3cret" not in failure.value.message + failure.value.hint


@pytest.mark.parametrize(
    ("given_url", "url"),
    [
        ("https://c:4318", "https://c:4318/v1/traces"),
        ("https://c:4318/", "https://c:4318/v1/traces"),
        ("https://c/otlp", "https://c/otlp/v1/traces"),
        ("https://c/v1/traces", "https://c/v1/traces"),
    ],
)
def test_the_path_of_traces_is_added_once(given_url: str, url: str) -> None:
    assert otlp_endpoint(given_url).url == url


def test_headers_never_go_over_plain_http_to_another_machine() -> None:
    assert otlp_endpoint("http://collector:4318").url.startswith("http:")
    with pytest.raises(ConfigurationError, match="unencrypted"):
        otlp_endpoint("http://collector:4318", headers="a=b")


def test_spans_that_are_rejected_are_a_failure() -> None:
    with (
        serving(Collector(rejected=2)) as server,
        pytest.raises(NetworkError, match="rejected 2 of them"),
    ):
        export_spans(otlp_endpoint(server.url), MEASURED, env={}, service=QUICK_SERVICE)


@pytest.mark.parametrize("body", [b"{}", b"\xff" * 20, b"<html>"])
def test_a_response_that_is_not_protobuf_is_ignored(body: bytes) -> None:
    with scripted_server(Reply(200, body=body)) as server:
        export_spans(otlp_endpoint(server.url), MEASURED, env={}, service=QUICK_SERVICE)


def test_without_the_extra_one_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match="isn't installed") as failure:
        otlp_endpoint("https://collector:4318")
    assert "ign-deploy[otel]" in failure.value.hint


def test_hostile_texts_can_be_sent() -> None:
    changed = replace(MEASURED, event=HOSTILE, environment=HOSTILE, gateways={HOSTILE: 1})
    [resource] = spans_request(changed, parent=None).resource_spans
    for span in resource.scope_spans[0].spans:
        assert "\x1b" not in span.name + str(attributes(span))
