"""The commands yank, unyank, remove, prune, reindex and mirror: maintenance of a repository."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from ign_deploy.cli.failure import failure_document
from ign_deploy.cli.formatting import plain
from ign_deploy.cli.options import REPOSITORY, common_options, settings_options
from ign_deploy.cli.session import Session
from ign_deploy.errors import ConfigurationError, IgnDeployError
from ign_deploy.pipeline.maintenance import (
    Named,
    remove_versions,
    require_confirmed,
    split_name,
    versions_to_prune,
    yank_versions,
)

if TYPE_CHECKING:
    from ign_deploy.repositories.mirror import Mirrored

_VERSIONS = click.argument("versions", nargs=-1, required=True, metavar="ID@VERSION…")


@click.command("yank", short_help="Keep a version from being selected.")
@_VERSIONS
@settings_options("reason", *REPOSITORY, "audit_file", "dry_run")
@common_options
def yank_command(session: Session, versions: tuple[str, ...]) -> None:
    """Mark versions as yanked: installed only when requested by exact version.

    The files stay, and `unyank` undoes it. The --reason is shown wherever the version is listed.
    """
    if not session.settings.reason.strip():
        raise ConfigurationError("no reason given", hint="give --reason: users will read it.")
    named = [split_name(text) for text in versions]
    _answer(session, yank_versions(named, session.context, is_yanked=True))


@click.command("unyank", short_help="Undo a yank.")
@_VERSIONS
@settings_options("reason", *REPOSITORY, "audit_file", "dry_run")
@common_options
def unyank_command(session: Session, versions: tuple[str, ...]) -> None:
    """Let yanked versions be selected again."""
    named = [split_name(text) for text in versions]
    _answer(session, yank_versions(named, session.context, is_yanked=False))


@click.command("remove", short_help="Delete a version for good.")
@_VERSIONS
@settings_options("confirm", "reason", *REPOSITORY, "audit_file", "dry_run")
@common_options
def remove_command(session: Session, versions: tuple[str, ...]) -> None:
    """Delete the files of versions; their records stay, so that they can't be published again.

    Each must be repeated as --confirm ID@VERSION. This can't be undone: prefer `yank`, unless the
    bytes themselves must go.
    """
    named = [split_name(text) for text in versions]
    if not session.settings.dry_run:
        require_confirmed(named, session.settings.confirm)
    reason = session.settings.reason
    _answer(session, remove_versions(named, session.context, reason=reason))


@click.command("prune", short_help="Delete old versions.")
@click.argument("modules", nargs=-1, metavar="[ID…]")
@settings_options("keep", "reason", *REPOSITORY, "audit_file", "dry_run")
@common_options
def prune_command(session: Session, modules: tuple[str, ...]) -> None:
    """Delete all but the --keep newest versions of each module, or of the given ones.

    What an environment runs or could be rolled back to is kept, and so is the newest final
    release. --dry-run shows what would be deleted.
    """
    keep = session.settings.keep
    if keep < 1:
        raise ConfigurationError(
            "no number of versions to keep given", hint="give --keep N, at least 1."
        )
    named = versions_to_prune(modules, session.context)
    if not named:
        session.answer({"result": "unchanged", "versions": []}, "nothing to prune")
        return
    reason = session.settings.reason or f"pruned: beyond the {keep} newest"
    _answer(session, remove_versions(named, session.context, reason=reason, action="prune"))


@click.command("reindex", short_help="Rebuild the indexes and the page.")
@settings_options(*REPOSITORY)
@common_options
def reindex_command(session: Session) -> None:
    """Rebuild the repository's indexes from the records.

    The records are the truth. Run this when an index was lost or damaged, also that of an
    environment's deployments.
    """
    session.context.require_repository()
    with session.reporter.group("reindex"):
        found = session.context.repository.maintenance.reindex()
        session.context.history.reindex()
    session.answer(
        {"result": "reindexed", "modules": found.modules, "versions": found.versions},
        f"reindexed {found.versions} versions of {found.modules} modules",
    )


@click.command("mirror", short_help="Copy modules from another repository.")
@click.argument("source")
@click.argument("modules", nargs=-1, metavar="[ID[@VERSION]…]")
@click.option("--all-versions", is_flag=True, help="All versions, not only the newest.")
@settings_options(
    *REPOSITORY,
    "cache_dir",
    "source_username",
    "trust_anchor",
    "allow_expired",
    "audit_file",
    "dry_run",
)
@common_options
def mirror_command(
    session: Session, source: str, modules: tuple[str, ...], *, all_versions: bool
) -> None:
    """Copy modules from the repository SOURCE into --repository-url; each is verified.

    Without names, the newest version of every module. VERSION may be a range such as '>=1.2,<2'.
    For an offline site, mirror the store into a folder, carry the folder over, and mirror it into
    the store there. Credentials for SOURCE come from IGN_DEPLOY_SOURCE_TOKEN or
    IGN_DEPLOY_SOURCE_PASSWORD.
    """
    from ign_deploy.pipeline.maintenance import copy_versions, entries_to_mirror, open_source

    context = session.context
    origin, reading = open_source(source, context)
    entries = entries_to_mirror(origin, modules, every_version=all_versions)
    ids = {entry.id for entry in entries} if modules else None
    if session.settings.dry_run:
        names = [{"id": entry.id, "version": entry.version} for entry in entries]
        lines = [f"would copy {plain(entry.id)} {plain(entry.version)}" for entry in entries]
        session.answer({"result": "dry-run", "versions": names}, "\n".join(lines))
        reading.require_complete(origin.location, ids)
        return
    done = copy_versions(origin, entries, context)
    _answer_mirrored(session, done, lambda: reading.require_complete(origin.location, ids))


def _answer_mirrored(
    session: Session, done: Sequence[Mirrored], require_complete: Callable[[], None]
) -> None:
    """Answer with what was copied, also where something could not be."""
    document: dict[str, Any] = {
        "result": "mirrored",
        "versions": [
            {
                "id": each.release.id,
                "version": each.release.version,
                "sha256": each.release.module_file.sha256,
                "result": each.outcome.value,
            }
            for each in done
        ],
    }
    lines = [
        f"{each.outcome.value}: {plain(each.release.id)} {plain(each.release.version)}"
        for each in done
    ]
    try:
        require_complete()
    except IgnDeployError as problem:
        session.answer(document | failure_document(problem), "\n".join(lines))
        raise
    session.answer(document, "\n".join(lines) or "nothing to copy")


def _answer(session: Session, done: list[tuple[Named, str]]) -> None:
    """Answer with the result of each version."""
    is_dry_run = session.settings.dry_run
    results = {result for _, result in done}
    overall = results.pop() if len(results) == 1 else "changed"
    document: dict[str, Any] = {
        "result": "dry-run" if is_dry_run else overall,
        "versions": [
            {"id": each.id, "version": each.version, "result": result} for each, result in done
        ],
    }
    would = "would be " if is_dry_run else ""
    lines = [f"{would}{result}: {plain(each.id)} {plain(each.version)}" for each, result in done]
    session.answer(document, "\n".join(lines))
