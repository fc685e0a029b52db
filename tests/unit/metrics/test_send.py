from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.metrics.send import MetricTargets, send_measurement
from ign_deploy.metrics.spans import otlp_endpoint
from tests.support.collector import Collector, Pushgateway
from tests.support.notices import MEASURED, QUICK_SERVICE
from tests.support.reporting import Recorder
from tests.support.serving import Reply, scripted_server, serving, unused_port


def test_every_target_gets_the_run(tmp_path: Path) -> None:
    listener, file = Recorder(), tmp_path / "ign_deploy.prom"
    with serving(Pushgateway()) as gateway, serving(Collector()) as collector:
        targets = MetricTargets(
            file,
            gateway.url,
            otlp=otlp_endpoint(collector.url, headers="k=s3cret"),
            service=QUICK_SERVICE,
        )
        send_measurement(MEASURED, targets=targets, env={}, reporter=listener)
    assert file.is_file()
    assert len(gateway.groups) == len(collector.exports) == 1
    assert listener.warnings == []
    assert listener.masked == ["s3cret"]


def test_nothing_is_done_without_targets() -> None:
    listener = Recorder()
    send_measurement(MEASURED, targets=MetricTargets(), env={}, reporter=listener)
    assert listener.warnings == []


def test_each_target_that_fails_is_one_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    url = f"http://127.0.0.1:{unused_port()}"
    targets = MetricTargets(
        tmp_path / "file" / "x.prom",
        url,
        otlp=otlp_endpoint(url),
        service=QUICK_SERVICE,
    )
    listener = Recorder()
    send_measurement(MEASURED, targets=targets, env={}, reporter=listener)
    begins = [warning.split(":")[0] for warning in listener.warnings]
    assert begins == [
        "the metrics file was not written",
        "the metrics were not pushed",
        "the spans were not exported",
    ]
    assert "check the port" in listener.warnings[1]


def test_a_server_that_hangs_is_left_behind() -> None:
    listener = Recorder()
    with scripted_server(Reply(200, delay=1.0)) as server:
        send_measurement(
            MEASURED,
            targets=MetricTargets(pushgateway=server.url, service=QUICK_SERVICE),
            env={},
            reporter=listener,
            deadline=0.1,
        )
    assert "timed out after 0.1 s" in listener.warnings[0]


def test_a_pushgateway_that_cannot_be_used_is_found_before_the_run() -> None:
    MetricTargets().check()
    MetricTargets(pushgateway="http://pushgateway:9091").check()
    with pytest.raises(ConfigurationError, match="URL of the Pushgateway"):
        MetricTargets(pushgateway="pushgateway").check()


def test_no_thread_is_the_first_to_load_a_library(tmp_path: Path) -> None:
    """Two threads that load modules which import each other block each other."""
    code = """
import sys
from datetime import UTC, datetime
import subprocess
import sys
from pathlib import Path
from ign_deploy.metrics import Measurement, send
from ign_deploy.report import SilentReporter

def watched(actions, *, deadline):
    before = set(sys.modules)
    actions[0]()
    late = {name for name in set(sys.modules) - before if name.startswith("prometheus_client")}
    assert not late, late
    return [""] * len(actions)

send.best_effort = watched
send.send_measurement(
    Measurement("release", "uploaded", True, datetime.now(UTC), 1.0),
    targets=send.MetricTargets(file=Path(sys.argv[1])), env={}, reporter=SilentReporter(),
)
"""
    target = tmp_path / "metrics.txt"
    subprocess.run([sys.executable, "-c", code, str(target)], check=True, timeout=120)
    assert target.exists()
