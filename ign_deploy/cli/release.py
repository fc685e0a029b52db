"""The commands module and package."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from ign_deploy.cli.failure import system_error
from ign_deploy.cli.options import (
    DEPLOYING,
    EVENTS,
    GUARDS,
    PACKAGING,
    PUBLISHING,
    SIGNING,
    GroupedCommand,
    common_options,
    settings_options,
)
from ign_deploy.cli.reporting import report_outcome
from ign_deploy.cli.session import Session
from ign_deploy.errors import ConfigurationError, IgnDeployError
from ign_deploy.pipeline.rehearsal import run_or_rehearse
from ign_deploy.pipeline.release import RunContext, package, release
from ign_deploy.pipeline.run_report import RunReport

_PATH = click.argument("path", default=".", type=click.Path(path_type=Path))


# What a release takes, of one module or of many.
RELEASE = (
    *PACKAGING,
    *SIGNING,
    "trust_anchor",
    *PUBLISHING,
    *DEPLOYING,
    "continue_on_error",
    *EVENTS,
    *GUARDS,
    "dry_run",
    "skip_packaging",
    "skip_signing",
    "skip_upload",
)


@click.command("module", cls=GroupedCommand)
@_PATH
@settings_options(*RELEASE)
@common_options
def module_command(session: Session, path: Path) -> None:
    """Release a module: package → sign → verify → upload → deploy.

    PATH is a Gradle or Maven project, a folder with module.xml and jars, or a built .modl
    (default: the current folder). Passwords come from MODULE_SIGNING_PASSWORD and
    IGN_DEPLOY_KEY_PASSWORD. With --gateway, it ends on gateways, as with `install`.
    """
    run_job(session, lambda run: run_or_rehearse(partial(release, path), run))


@click.command("package")
@_PATH
@settings_options(*PACKAGING, "dry_run", "skip_packaging")
@common_options
def package_command(session: Session, path: Path) -> None:
    """Build and validate a module, unsigned.

    The distribution bundle (--format zip) holds the signed module, so here it can only be made of
    a signed .modl given as PATH.
    """

    def build(run: RunContext) -> str:
        if run.settings.format != "modl":
            return _bundle_only(path, run)
        return "packaged" if package(path, run) else "dry-run"

    run_job(session, build)


def _bundle_only(path: Path, run: RunContext) -> str:
    from ign_deploy.pipeline.bundle import bundle_signed_file

    if not path.is_file():
        raise ConfigurationError(
            f"the distribution bundle holds the signed module, but {path} is still to be built",
            hint="use `ign-deploy module --format both`, or give a signed .modl as PATH.",
        )
    if run.settings.dry_run:
        return "dry-run"
    bundle_signed_file(path, run)
    return "packaged"


def run_job(session: Session, job: Callable[[RunContext], str]) -> None:
    """Run the job and report how it ended to people, machines and the CI host, also on failure."""
    report = RunReport(session.reporter)
    run = RunContext(
        session.settings, session.env, session.now, report, redact=session.masker.redact
    )
    try:
        result = job(run)
    except IgnDeployError as problem:
        _tell_failure(session, report, problem)
        raise
    except BrokenPipeError:
        raise  # nobody reads our log any more
    except OSError as cause:
        _tell_failure(session, report, system_error(cause))
        raise
    except Exception:
        bug = IgnDeployError("ign-deploy met an internal error", hint="see the log.")
        _tell_failure(session, report, bug)
        raise
    report_outcome(session, report, result=result)


def _tell_failure(session: Session, report: RunReport, problem: IgnDeployError) -> None:
    """Write down how far the run came; what goes wrong with that must not hide the problem."""
    session.reported.update(item.finding for item in report.findings)
    try:
        report_outcome(session, report, result="failed", problem=problem)
    except IgnDeployError as second:
        session.reporter.warning(second.message)
