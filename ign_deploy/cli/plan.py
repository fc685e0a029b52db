"""The command plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ign_deploy.ci.host import Host
from ign_deploy.ci.summary import Summary, SummaryTable
from ign_deploy.cli.formatting import json_line
from ign_deploy.cli.options import REPOSITORY, common_options, settings_options
from ign_deploy.cli.page import write_page
from ign_deploy.cli.session import Session
from ign_deploy.pipeline.plan import Decision, make_plan

_HOSTS = (Host.GITHUB, Host.GITLAB, Host.JENKINS)


@click.command("plan", short_help="Print a CI matrix of what needs a release.")
@click.argument("paths", nargs=-1, metavar="[PATH…]", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "form",
    type=click.Choice([host.value for host in _HOSTS]),
    help="Format of the matrix.  [default: that of the current CI host, or github]",
)
@settings_options("all", *REPOSITORY, "skip_packaging", "build_timeout", "isolate", "max_parallel")
@common_options
def plan_command(session: Session, paths: tuple[Path, ...], form: str | None) -> None:
    """Print the matrix of what needs a release, in dependency order.

    Each PATH is what `module` takes (default: `paths` of the config file, else all projects below
    the current folder); nothing is built. A path is skipped when its files are as they were in the
    commit of the newest published version. The reasons go to standard error.
    """
    host = Host(form) if form else session.host if session.host in _HOSTS else Host.GITHUB
    with session.reporter.group("plan"):
        decisions = make_plan(paths, session.context)
    wanted = sum(each.needs_release for each in decisions)
    if wanted > LIMITS.get(host, wanted):
        session.reporter.warning(
            f"{wanted} paths need a release, but {host} runs at most {LIMITS[host]} jobs of a "
            "matrix: split the plan, or use `ign-deploy batch`"
        )
    write_page(session, _summary(decisions))
    value = matrix(decisions, host=host)
    line = json_line(value, masker=session.masker)
    document = {"result": "planned", "matrix": value, "decisions": _documents(decisions)}
    session.answer(document, line, outputs={"matrix": line}, is_clean=True)


def _summary(decisions: Sequence[Decision]) -> Summary:
    """Return the run's page: what needs a release and why, then the rest."""
    wanted = sum(each.needs_release for each in decisions)
    verb = "needs" if wanted == 1 else "need"
    return Summary(
        headline=f"{wanted} of {len(decisions)} paths {verb} a release",
        succeeded=True,
        tables=[
            SummaryTable(
                "Paths",
                ("Release", "Path", "Module", "Reason"),
                [
                    (
                        "yes" if each.needs_release else "no",
                        str(each.path),
                        ", ".join(f"{one.id} {one.version}".strip() for one in each.modules),
                        each.reason,
                    )
                    for each in sorted(decisions, key=lambda each: not each.needs_release)
                ],
            )
        ],
    )


def _documents(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    return [
        {
            "path": str(each.path),
            "release": each.needs_release,
            "reason": each.reason,
            "modules": [
                {"id": module.id, "version": module.version, "name": module.name}
                for module in each.modules
            ],
        }
        for each in decisions
    ]


LIMITS = {Host.GITHUB: 256, Host.GITLAB: 200}
"""How many jobs a host makes of one matrix at most."""


def matrix(decisions: Sequence[Decision], *, host: Host) -> Any:
    """Return what needs a release as JSON values, in its order.

    GitHub: ``{"include": […]}``; GitLab: a list of variables for ``parallel: matrix:``; otherwise a
    plain list. Several modules of one path are one entry, with their ids separated by blanks.
    """
    wanted = [each for each in decisions if each.needs_release]
    if host is Host.GITHUB:
        return {"include": [_entry(each) for each in wanted]}
    if host is Host.GITLAB:
        return [_variables(each) for each in wanted]
    return [_entry(each) for each in wanted]


def _entry(decision: Decision) -> dict[str, str]:
    modules = decision.modules
    return {
        "path": str(decision.path),
        "id": " ".join(module.id for module in modules),
        "version": " ".join(module.version for module in modules if module.version),
        "name": ", ".join(module.name for module in modules if module.name),
    }


def _variables(decision: Decision) -> dict[str, str]:
    entry = _entry(decision)
    # GitLab expands a lone $.
    return {
        f"MODULE_{name.upper()}": entry[name].replace("$", "$$")
        for name in ("path", "id", "version")
    }
