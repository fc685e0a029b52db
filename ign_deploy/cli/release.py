"""The commands module, batch and package."""

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
from ign_deploy.errors import IgnDeployError
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.package import bundle_signed_file, package
from ign_deploy.pipeline.rehearsal import run_or_rehearse
from ign_deploy.pipeline.release import release

_PATH = click.argument("path", default=".", type=click.Path(path_type=Path))


# The settings of a release, of one module or of many.
RELEASE_OPTIONS = (
    *PACKAGING,
    *SIGNING,
    "resign",
    "trust_anchor",
    "expiry_warning_days",
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


@click.command(
    "module", cls=GroupedCommand, short_help="Package, sign, upload and deploy a module."
)
@_PATH
@settings_options(*RELEASE_OPTIONS)
@common_options
def module_command(session: Session, path: Path) -> None:
    """Release a module: package → sign → verify → upload → deploy.

    PATH is a Gradle or Maven project, a folder with module.xml and jars, or a built .modl
    (default: the current folder). Passwords come from MODULE_SIGNING_PASSWORD and
    IGN_DEPLOY_KEY_PASSWORD. With --gateway, the module is then installed, as by `install`.
    """
    _run_job(session, lambda context: run_or_rehearse(partial(release, path), context))


@click.command("batch", cls=GroupedCommand, short_help="Release several modules in parallel.")
@click.argument("paths", nargs=-1, metavar="[PATH…]", type=click.Path(path_type=Path))
@settings_options(*RELEASE_OPTIONS, "max_parallel")
@common_options
def batch_command(session: Session, paths: tuple[Path, ...]) -> None:
    """Release several modules: in parallel, uploads in dependency order.

    Each PATH is what `module` takes (default: `paths` of the config file, else all projects below
    the current folder). Everything is checked before anything starts, and all modules are verified
    before the first one is uploaded. If paths fail for different reasons, the exit code is that of
    the first one in the given order.
    """
    from ign_deploy.pipeline.batch import release_batch

    _run_job(session, lambda context: run_or_rehearse(partial(release_batch, paths), context))


@click.command("package")
@_PATH
@settings_options(*PACKAGING, "dry_run", "skip_packaging")
@common_options
def package_command(session: Session, path: Path) -> None:
    """Build and validate a module, unsigned.

    The distribution bundle (--format zip) contains the signed module, so here it needs a signed
    .modl as PATH.
    """

    def build(context: RunContext) -> str:
        if context.settings.format != "modl":
            return bundle_signed_file(path, context)
        return "packaged" if package(path, context) else "dry-run"

    _run_job(session, build)


def _run_job(session: Session, job: Callable[[RunContext], str]) -> None:
    """Run the job, and report how it ended to people, programs and the CI host, also on failure."""
    try:
        result = job(session.context)
    except IgnDeployError as problem:
        _report_failed_run(session, problem)
        raise
    except BrokenPipeError:
        raise  # the reader of the log has gone
    except OSError as cause:
        _report_failed_run(session, system_error(cause))
        raise
    except Exception:
        bug = IgnDeployError("internal error in ign-deploy", hint="see the log.")
        _report_failed_run(session, bug)
        raise
    report_outcome(session, result=result)


def _report_failed_run(session: Session, problem: IgnDeployError) -> None:
    """Write down how far the run came; what goes wrong with that must not hide the problem."""
    session.reported.update(item.finding for item in session.context.report.findings)
    try:
        report_outcome(session, result="failed", problem=problem)
    except IgnDeployError as second:
        session.reporter.warning(second.message)
