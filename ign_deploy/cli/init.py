"""The command init."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from ign_deploy.cli.formatting import wrap
from ign_deploy.cli.options import common_options, settings_options
from ign_deploy.cli.session import Session
from ign_deploy.errors import ConfigurationError
from ign_deploy.files import read_regular
from ign_deploy.pipeline.scaffold import (
    CiHost,
    NextStep,
    Survey,
    next_steps,
    starter_files,
    survey_project,
    write_missing,
)
from ign_deploy.settings import CONFIG_FILE

_LARGEST_WORKFLOW = 1 << 20


@click.command("init", short_help="Write a config file and a release workflow.")
@click.option(
    "--ci",
    type=click.Choice([host.value for host in CiHost]),
    help="CI host of the project.  [default: by its files and its git remote]",
)
@click.option("--yes", is_flag=True, help="Ask nothing, take the defaults.")
@settings_options(
    "repository_url",
    meanings={
        "repository_url": (
            "Repository for releases.  [default: the project's store on GitHub or GitLab]",
            "URL",
        )
    },
)
@common_options
def init_command(session: Session, ci: str | None, *, yes: bool) -> None:
    """Write ign-deploy.toml and a release workflow for the project in this folder.

    Prints the commands that make a signing key and hand it to the CI host. Files that exist are
    kept as they are.
    """
    folder = Path()
    survey = survey_project(folder, session.env)
    _report(session, survey)
    asks = not yes and not session.as_json and sys.stdin.isatty()
    host = _choose_host(survey, ci, asks=asks)
    url = _choose_url(session, survey, host, asks=asks)
    written, kept = write_missing(starter_files(survey, host, url), folder)
    for name in kept:
        session.reporter.warning(f"{name} exists and was kept as it is{_lacking(folder / name)}")
    if url == survey.default_url(host) == "module-repository":
        session.reporter.warning(
            "releases go to the folder module-repository, which ends with the CI job's workspace: "
            "set repository-url in ign-deploy.toml to a store that lasts"
        )
    steps = next_steps(survey, host)
    session.answer(
        {
            "result": "initialized" if written else "unchanged",
            "ci": host.value,
            "repository_url": url,
            "projects": [path.as_posix() for path in survey.discovery.projects],
            "written": written,
            "kept": kept,
            "next": [{"step": step.text, "commands": step.commands} for step in steps],
        },
        init_text(written, steps, width=session.width),
    )


def _report(session: Session, survey: Survey) -> None:
    for path in survey.discovery.projects:
        session.reporter.info(f"found the project {path}")
    for path in survey.discovery.left_out:
        session.reporter.info(f"not searched: {path}")


def _lacking(path: Path) -> str:
    """Return what a file that was kept doesn't do, for a workflow that was written for others."""
    try:
        workflow = read_regular(path, limit=_LARGEST_WORKFLOW)
    except OSError:
        return ", though it can't be read"
    if path.name == CONFIG_FILE or b"ign-deploy" in workflow:
        return ""
    return ": add a job that runs ign-deploy, as the guide for your CI host shows"


def _choose_host(survey: Survey, given: str | None, *, asks: bool) -> CiHost:
    if given:
        return CiHost(given)
    if asks:
        choices = click.Choice([host.value for host in CiHost])
        default = survey.ci_host.value if survey.ci_host else None
        return CiHost(click.prompt("CI host", type=choices, default=default, err=True))
    if survey.ci_host is None:
        raise ConfigurationError(
            "neither the files here nor a git remote say which CI host the project uses",
            hint=f"give --ci {', '.join(CiHost)}.".replace(f", {CiHost.JENKINS}", " or jenkins"),
        )
    return survey.ci_host


def _choose_url(session: Session, survey: Survey, host: CiHost, *, asks: bool) -> str:
    url, default = session.settings.repository_url, survey.default_url(host)
    if not url and asks:
        url = click.prompt("Repository for releases", default=default, err=True)
    if re.search(r"://[^/]*@", url):
        raise ConfigurationError(
            "the repository URL contains credentials, and the config file gets committed",
            hint="give the URL without them; set REPOSITORY_API_TOKEN where it is needed.",
        )
    return url or default


def init_text(written: Sequence[str], steps: Sequence[NextStep], *, width: int) -> str:
    """Return what people read; a command stays on one line, so that it can be copied."""
    lines = [*(f"wrote {name}" for name in written), "", "Next:"]
    for number, step in enumerate(steps, start=1):
        first = f"{number}. "
        lines += wrap(step.text, width, first=first, rest=" " * len(first))
        lines += (f"     {command}" for command in step.commands)
    return "\n".join(lines).lstrip("\n")
