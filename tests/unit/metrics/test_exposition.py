from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from ign_deploy.errors import ConfigurationError, NetworkError
from ign_deploy.metrics import Measurement
from ign_deploy.metrics.exposition import (
    grouping_path,
    openmetrics,
    prometheus_text,
    write_metrics,
)
from ign_deploy.metrics.send import push_metrics
from tests.support.collector import Pushgateway
from tests.support.notices import HOSTILE, MEASURED, QUICK_SERVICE
from tests.support.serving import Reply, scripted_server, serving

Parser = Callable[[str], Any]


def samples(text: bytes, *, parse: Parser = parse_openmetrics) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for family in parse(text.decode()):
        assert family.type == "gauge"
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_the_run_is_reported_as_gauges() -> None:
    found = samples(openmetrics(MEASURED))
    common = {"event": "deployment", "environment": "production"}
    assert found == {
        "ign_deploy_last_run_timestamp_seconds": [(common, 1769860800.0)],
        "ign_deploy_last_run_success": [(common | {"result": "deployed"}, 1.0)],
        "ign_deploy_last_run_duration_seconds": [(common, 83.25)],
        "ign_deploy_stage_duration_seconds": [
            (common | {"stage": "upload", "result": "ok"}, 4.5),
            (common | {"stage": "install", "result": "ok"}, 60.0),
        ],
        "ign_deploy_module_size_bytes": [
            (common | {"module": "com.example.pump", "version": "1.4.2"}, 2048.0)
        ],
        "ign_deploy_gateways": [
            (common | {"outcome": "deployed"}, 2.0),
            (common | {"outcome": "failed"}, 1.0),
        ],
    }


def test_the_same_text_is_valid_in_the_older_format() -> None:
    text = openmetrics(MEASURED)
    assert text.endswith(b"# EOF\n")
    assert samples(text, parse=parse_text) == samples(text)
    assert samples(prometheus_text(MEASURED), parse=parse_text) == samples(text)


def test_a_failed_run_is_not_a_success() -> None:
    failed = replace(MEASURED, is_success=False, result="rolled-back")
    [(labels, value)] = samples(openmetrics(failed))["ign_deploy_last_run_success"]
    assert (labels["result"], value) == ("rolled-back", 0.0)


def test_stages_of_one_name_are_summed_up() -> None:
    twice = replace(MEASURED, stages=MEASURED.stages * 2)
    stages = samples(openmetrics(twice))["ign_deploy_stage_duration_seconds"]
    assert [value for _, value in stages] == [9.0, 120.0]


def test_nothing_of_this_process_is_exposed() -> None:
    names = {sample.name for family in REGISTRY.collect() for sample in family.samples}
    assert not names & set(samples(openmetrics(MEASURED)))


def test_a_folder_for_several_processes_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    openmetrics(MEASURED)
    assert list(tmp_path.iterdir()) == []


@given(st.text() | st.just(HOSTILE), st.floats(allow_nan=False))
def test_any_text_and_number_is_read_back(text: str, seconds: float) -> None:
    hostile = Measurement(
        text, text, True, datetime(2026, 1, 31, tzinfo=UTC), seconds, text, gateways={text: 1}
    )
    found = samples(openmetrics(hostile))
    assert len(found) == 4
    [(labels, value)] = found["ign_deploy_last_run_duration_seconds"]
    assert value == seconds
    assert labels["event"] == labels["environment"]


def test_the_file_is_written_whole_and_may_be_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "textfile" / "ign_deploy.prom"
    write_metrics(path, MEASURED)
    write_metrics(path, MEASURED)
    assert path.read_bytes() == openmetrics(MEASURED)
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_push_replaces_the_group() -> None:
    with serving(Pushgateway()) as gateway:
        push_metrics(
            gateway.url + "/",
            replace(MEASURED, gateways={"old": 1}),
            service=QUICK_SERVICE,
        )
        push_metrics(gateway.url, MEASURED, service=QUICK_SERVICE)
    [(group, found)] = gateway.groups.items()
    assert group == (("job", "ign-deploy"), ("event", "deployment"), ("environment", "production"))
    names = {sample.labels.get("outcome") for sample in found} - {None}
    assert names == {"deployed", "failed"}


@pytest.mark.parametrize(
    "environment", ["", "a/b", "..", "Wasserwerk Süd", "100%", "?x=#y", HOSTILE]
)
def test_any_environment_is_one_group(environment: str) -> None:
    with serving(Pushgateway()) as gateway:
        push_metrics(
            gateway.url,
            replace(MEASURED, environment=environment),
            service=QUICK_SERVICE,
        )
    [(group, found)] = gateway.groups.items()
    assert dict(group)["environment"] == found[0].labels["environment"]


@given(st.text().filter(lambda text: text.isprintable()))
def test_a_value_never_leaves_its_place_in_the_path(value: str) -> None:
    path = grouping_path({"job": value, "x": "y"})
    assert path.isascii()
    assert path.count("/") == 5
    assert path.endswith("/x/y")


def test_a_push_that_is_refused_says_so() -> None:
    with (
        scripted_server(Reply(400, body=b"hidden")) as server,
        pytest.raises(NetworkError, match=r"127\.0\.0\.1 returned 400") as failure,
    ):
        push_metrics(server.url, MEASURED, service=QUICK_SERVICE)
    assert "hidden" not in failure.value.message + failure.value.hint


@pytest.mark.parametrize("url", ["", "gateway:9091", "http://me:s3cret@gateway:9091"])
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="Pushgateway") as failure:
        push_metrics(url, MEASURED)
    assert "s3cret" not in failure.value.message
