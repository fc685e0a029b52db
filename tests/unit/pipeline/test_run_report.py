"""A run report is kept and reported once, also when a stage fails."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from ign_deploy.module.findings import warning
from ign_deploy.pipeline.run_report import RunReport, shown_path
from tests.support.reporting import Recorder


def report() -> RunReport:
    ticks = count(step=1.5)
    return RunReport(Recorder(), clock=lambda: next(ticks))


def test_a_stage_has_its_time_and_its_end() -> None:
    reported = report()
    with reported.stage("build"):
        pass
    with pytest.raises(ZeroDivisionError), reported.stage("sign"):
        raise ZeroDivisionError
    reported.skip("upload", "asked to")
    assert [stage.as_dict() for stage in reported.stages] == [
        {"name": "build", "result": "ok", "seconds": 1.5, "reason": ""},
        {"name": "sign", "result": "failed", "seconds": 1.5, "reason": ""},
        {"name": "upload", "result": "skipped", "seconds": 0.0, "reason": "asked to"},
    ]


def test_a_finding_is_reported_once_for_each_file(tmp_path: Path) -> None:
    reported = report()
    found = [warning("code", "look at it", hint="look.")]
    for name in ("a", "a", "b"):
        reported.add_findings(found, file=tmp_path / name)
    assert [item.file for item in reported.findings] == [str(tmp_path / "a"), str(tmp_path / "b")]


def test_files_are_shown_as_the_workspace_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "dist" / "x.modl") == str(Path("dist", "x.modl"))
    assert shown_path(Path("dist/x.modl")) == "dist/x.modl"
    assert shown_path(Path("/elsewhere/x.modl")) == "/elsewhere/x.modl"
