"""The command batch."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ign_deploy.cli.options import GroupedCommand, common_options, settings_options
from ign_deploy.cli.release import RELEASE, run_job
from ign_deploy.cli.session import Session
from ign_deploy.pipeline.batch import BatchFailed, release_all
from ign_deploy.pipeline.rehearsal import run_or_rehearse
from ign_deploy.pipeline.run_report import problem_findings


@click.command("batch", cls=GroupedCommand)
@click.argument("paths", nargs=-1, required=True, metavar="PATH…", type=click.Path(path_type=Path))
@settings_options(*RELEASE, "max_parallel")
@common_options
def batch_command(session: Session, paths: tuple[Path, ...]) -> None:
    """Release several modules: in parallel, uploads in dependency order.

    Each PATH is what `module` takes. Everything is checked before anything starts, and all modules
    are verified before the first one is uploaded. If paths fail for different reasons, the exit
    code is that of the first one in the given order.
    """
    try:
        run_job(session, lambda run: run_or_rehearse(partial(release_all, paths), run))
    except BatchFailed as problem:
        # The answer, with all modules, has been given; each path has told its errors.
        for finding, file in dict.fromkeys(problem_findings(problem)):
            if finding not in session.reported:
                session.reporter.finding(finding, file=file)
        session.reporter.info(f"{problem.message}; {problem.hint}")
        raise click.exceptions.Exit(problem.exit_code) from problem
