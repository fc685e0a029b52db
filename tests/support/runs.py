"""Run contexts for tests: settings by name, an environment without a CI host, a silent reporter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ign_deploy.pipeline.context import RunContext, start_run
from ign_deploy.pipeline.run_report import RunReport
from ign_deploy.report import Reporter, SilentReporter
from ign_deploy.settings import Settings


def run_context(
    env: Mapping[str, str] | None = None,
    *,
    reporter: Reporter | None = None,
    now: datetime | None = None,
    **settings: Any,
) -> RunContext:
    """Return the context of a run with these settings."""
    report = RunReport(SilentReporter() if reporter is None else reporter)
    return start_run(Settings(**settings), env=env or {}, report=report, now=now)
