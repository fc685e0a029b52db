"""A rehearsal: the whole job for real, in a temporary repository that is deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ign_deploy.pipeline.checks import check_repository
from ign_deploy.pipeline.context import RunContext, start_rehearsal
from ign_deploy.pipeline.guards import with_tag_version


def run_or_rehearse(job: Callable[[RunContext], str], context: RunContext) -> str:
    """Do the job for real, or rehearse it if the settings say so; returns the result's name.

    The tag's version, where tags have one, is the version that is required.
    """
    context = with_tag_version(context)
    if not context.settings.rehearsal:
        return job(context)
    try:
        with rehearse(context) as rehearsed:
            result = job(rehearsed)
    finally:
        context.report.forget_files()
    return result if result == "dry-run" else "rehearsed"


@contextmanager
def rehearse(context: RunContext) -> Iterator[RunContext]:
    """Lend a run whose outputs and repository are in a private folder, removed at the end.

    The real repository is only asked: whether it is writable, and what it has published.
    """
    import tempfile

    if not context.settings.skip_upload:
        check_repository(context)
    with tempfile.TemporaryDirectory(prefix="ign-deploy-rehearsal-") as private:
        settings = context.settings.model_copy(
            update={
                "output_dir": Path(private, "dist"),
                "repository_url": str(Path(private, "module-repository")),
                "gateway": (),
                **_without_events(),
            }
        )
        context.reporter.info("rehearsal: everything goes into a folder that is removed at the end")
        with start_rehearsal(settings, context) as rehearsed:
            yield rehearsed


def _without_events() -> dict[str, object]:
    """Return the settings of notifications, audit trail and metrics as if none were given."""
    from ign_deploy.settings.events import EventSettings

    unset = {name: field.default for name, field in EventSettings.model_fields.items()}
    return unset | {"skip_deployment_statuses": True}
