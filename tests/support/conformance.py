"""Trying simulated gateways as ``validate-env --conformance`` does; makes the expected reports.

Run ``python -m tests.support.conformance`` to write them again after the simulator has changed.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ign_deploy.deployment.conformance.report import (
    ConformanceReport,
    read_report,
    render_report,
)
from ign_deploy.deployment.gateway import Target
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.pipeline.probe_module import make_probe_modules
from tests.support.cli import CliWorkspace, GatewayCli, Result
from tests.support.gateway import Options, VirtualTime, running_gateway
from tests.support.gateway.client import NOW, retry_of
from tests.support.pages import ROOT

NAME = "bench-7"
EXPECTED = ROOT / "ign_deploy" / "deployment" / "conformance" / "expected"
VERSIONS = ("8.3.4", "8.3.8")


@dataclass
class TriedSimulator:
    """A simulated gateway that is tried in a folder."""

    cli: GatewayCli

    @property
    def path(self) -> Path:
        return self.cli.workspace.folder / "report.json"

    @property
    def report(self) -> ConformanceReport:
        return read_report(self.path)

    def run(self, *arguments: str, confirm: str = NAME, **env: str) -> Result:
        """Try it; every wait is on its own time."""
        with (
            patch("ign_deploy.deployment.gateway.open_target", self._open_target),
            patch(
                "ign_deploy.pipeline.conformance.make_probe_modules",
                lambda folder, *, line, now: probe_modules(line),
            ),
        ):
            return self.cli.call(
                *("validate-env", "--gateway", self.cli.gateway.url),
                *("--conformance", self.path.name, "--confirm", confirm),
                *arguments,
                **env,
            )

    def _open_target(self, url: str, **options: Any) -> Target:
        return self.cli.open_target(url, **options, retry=retry_of(self.cli.gateway))


@cache
def probe_modules(line: tuple[int, int]) -> tuple[VerifiedModule, ...]:
    """Return the probe, made once for all runs in this process."""
    folder = Path(tempfile.mkdtemp(prefix="probe-"))
    atexit.register(shutil.rmtree, folder)
    return make_probe_modules(folder, line=line, now=NOW)


@contextmanager
def tried_simulator(folder: Path, options: Options | None = None) -> Iterator[TriedSimulator]:
    """Run a simulated gateway, called ``bench-7`` and for development unless there are options."""
    options = options or Options(deployment_mode="development")
    options.name = NAME
    with running_gateway(options, clock=VirtualTime()) as gateway:
        yield TriedSimulator(GatewayCli(CliWorkspace(folder), gateway))
        assert gateway.violations == []


def expectation(version: str) -> str:
    """Return what is expected of that version: a report without what differs from run to run."""
    with tempfile.TemporaryDirectory() as folder:
        options = Options(version=version, deployment_mode="development")
        with tried_simulator(Path(folder), options) as tried:
            tried.run()
            report = tried.report
    steps = [
        step.model_copy(
            update={
                "exchanges": tuple(
                    each.model_copy(update={"milliseconds": 0, "times": 1})
                    for each in step.exchanges
                )
            }
        )
        for step in report.steps
    ]
    kept = ConformanceReport(gateway=report.gateway, result="conforms", steps=tuple(steps))
    return render_report(kept)


if __name__ == "__main__":
    EXPECTED.mkdir(exist_ok=True)
    for each in VERSIONS:
        (EXPECTED / f"{each}.json").write_text(expectation(each), "utf-8")
