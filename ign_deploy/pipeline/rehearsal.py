"""A rehearsal: the whole job for real, into a throw-away repository, and nothing left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.pipeline.guards import with_tag_version
from ign_deploy.pipeline.preflight import check_repository
from ign_deploy.pipeline.publishing import open_configured_repository

if TYPE_CHECKING:
    from ign_deploy.pipeline.release import RunContext


def run_or_rehearse(work: Callable[[RunContext], str], run: RunContext) -> str:
    """Do the work for real, or rehearse it if that was asked for; returns the result's name.

    The tag's version, where tags have one, is the version that is asked for.
    """
    run = replace(run, settings=with_tag_version(run.settings, run.env))
    if not run.settings.rehearsal:
        return work(run)
    try:
        with rehearse(run) as rehearsed:
            result = work(rehearsed)
    finally:
        run.report.forget_files()
    return result if result == "dry-run" else "rehearsed"


@contextmanager
def rehearse(run: RunContext) -> Iterator[RunContext]:
    """Lend a run whose outputs and repository are in a private folder, removed at the end.

    The real repository is only asked: whether it could be written, and what it has published.
    """
    if not run.settings.skip_upload:
        repository = open_configured_repository(run.settings, env=run.env, reporter=run.reporter)
        check_repository(repository, reporter=run.reporter)
    with tempfile.TemporaryDirectory(prefix="ign-deploy-rehearsal-") as private:
        settings = run.settings.model_copy(
            update={
                "output_dir": Path(private, "dist"),
                "repository_url": str(Path(private, "module-repository")),
                "gateway": (),
                **_telling_nobody(),
            }
        )
        run.reporter.info("rehearsal: everything goes into a folder that is removed at the end")
        yield replace(run, settings=settings, published=run.settings)


def _telling_nobody() -> dict[str, object]:
    """Return the settings of notifications, audit trail and metrics as if none were given."""
    from ign_deploy.settings.events import EventSettings

    nobody = {name: field.default for name, field in EventSettings.model_fields.items()}
    return nobody | {"skip_deployment_statuses": True}
