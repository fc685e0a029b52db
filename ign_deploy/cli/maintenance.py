"""The commands yank, unyank, remove, prune and reindex: the care of what is published."""

from __future__ import annotations

from typing import Any

import click

from ign_deploy.cli.formatting import plain
from ign_deploy.cli.options import REPOSITORY, common_options, settings_options
from ign_deploy.cli.session import Session, open_audit
from ign_deploy.errors import ConfigurationError
from ign_deploy.pipeline.maintenance import (
    Named,
    remove_versions,
    require_confirmed,
    split_name,
    versions_to_prune,
    yank_versions,
)
from ign_deploy.pipeline.publishing import actor_of, open_configured_repository

_VERSIONS = click.argument("versions", nargs=-1, required=True, metavar="ID@VERSION…")


@click.command("yank", short_help="Keep a version from being chosen.")
@_VERSIONS
@settings_options("reason", *REPOSITORY, "audit_file", "dry_run")
@common_options
def yank_command(session: Session, versions: tuple[str, ...]) -> None:
    """Mark versions so that nobody gets them who doesn't ask for them by their number.

    The files stay; `unyank` takes it back. --reason is shown wherever the version is.
    """
    if not session.settings.reason.strip():
        raise ConfigurationError(
            "there is no reason", hint="say why with --reason: it is what users will read."
        )
    _yank(session, versions, is_yanked=True)


@click.command("unyank", short_help="Take a yank back.")
@_VERSIONS
@settings_options("reason", *REPOSITORY, "audit_file", "dry_run")
@common_options
def unyank_command(session: Session, versions: tuple[str, ...]) -> None:
    """Let yanked versions be chosen again."""
    _yank(session, versions, is_yanked=False)


@click.command("remove", short_help="Delete a version for good.")
@_VERSIONS
@settings_options("confirm", "reason", *REPOSITORY, "audit_file", "dry_run")
@common_options
def remove_command(session: Session, versions: tuple[str, ...]) -> None:
    """Delete the files of versions; their records stay, so that they can't come back.

    Each must be repeated as --confirm ID@VERSION. Rather use `yank`, unless the bytes themselves
    must go. There is no way back.
    """
    named = [split_name(text) for text in versions]
    if not session.settings.dry_run:
        require_confirmed(named, session.settings.confirm)
    _remove(session, named)


@click.command("prune", short_help="Delete old versions that nobody needs.")
@click.argument("modules", nargs=-1, metavar="[ID…]")
@settings_options("keep", "reason", *REPOSITORY, "audit_file", "dry_run")
@common_options
def prune_command(session: Session, modules: tuple[str, ...]) -> None:
    """Delete all but the --keep newest versions of each module, or of the given ones.

    Never what an environment runs or could be rolled back to, nor the newest final release. See
    what would go with --dry-run.
    """
    if session.settings.keep < 1:
        raise ConfigurationError(
            "it isn't said how many versions to keep", hint="give --keep N, at least 1."
        )
    repository = open_configured_repository(
        session.settings, env=session.env, reporter=session.reporter
    )
    named = versions_to_prune(
        repository, modules=modules, keep=session.settings.keep, reporter=session.reporter
    )
    if not named:
        session.answer({"result": "unchanged", "versions": []}, "nothing to prune")
        return
    _remove(session, named, default_reason=f"pruned: beyond the {session.settings.keep} newest")


@click.command("reindex", short_help="Derive indexes and page anew.")
@settings_options(*REPOSITORY)
@common_options
def reindex_command(session: Session) -> None:
    """Derive the repository's indexes and its page anew, from the records.

    The records are the truth; run this when an index was lost, damaged, or left behind by jobs that
    published at the same time.
    """
    repository = open_configured_repository(
        session.settings, env=session.env, reporter=session.reporter
    )
    with session.reporter.group("reindex"):
        found = repository.maintenance.reindex()
    session.answer(
        {"result": "reindexed", "modules": found.modules, "versions": found.versions},
        f"reindexed {found.versions} versions of {found.modules} modules",
    )


def _yank(session: Session, versions: tuple[str, ...], *, is_yanked: bool) -> None:
    settings = session.settings
    named = [split_name(text) for text in versions]
    repository = open_configured_repository(settings, env=session.env, reporter=session.reporter)
    done = yank_versions(
        repository,
        named,
        is_yanked=is_yanked,
        settings=settings,
        by=actor_of(session.env),
        now=session.now,
        reporter=session.reporter,
    )
    verb = "yanked" if is_yanked else "unyanked"
    _answer(session, [(each, verb if changed else "unchanged") for each, changed in done])


def _remove(session: Session, named: list[Named], *, default_reason: str = "") -> None:
    settings = session.settings
    repository = open_configured_repository(settings, env=session.env, reporter=session.reporter)
    remove_versions(
        repository,
        named,
        reason=settings.reason or default_reason,
        is_rehearsed=settings.dry_run,
        by=actor_of(session.env),
        now=session.now,
        reporter=session.reporter,
    )
    _answer(session, [(each, "removed") for each in named])


def audit_versions(session: Session, done: list[tuple[Named, str]]) -> None:
    """Write what was done to each version into the audit trail, if there is one."""
    events = open_audit(session)
    for each, result in done:
        events.audit(
            session.command,
            result,
            now=session.now,
            subject={"module": each.id, "version": each.version},
            details={"reason": session.settings.reason},
        )


def _answer(session: Session, done: list[tuple[Named, str]]) -> None:
    would = "would be " if session.settings.dry_run else ""
    results = {result for _, result in done}
    overall = results.pop() if len(results) == 1 else "changed"
    if not session.settings.dry_run:
        audit_versions(session, [(each, result) for each, result in done if result != "unchanged"])
    document: dict[str, Any] = {
        "result": "dry-run" if session.settings.dry_run else overall,
        "versions": [
            {"id": each.id, "version": each.version, "result": result} for each, result in done
        ],
    }
    lines = [f"{would}{result}: {plain(each.id)} {plain(each.version)}" for each, result in done]
    session.answer(document, "\n".join(lines))
