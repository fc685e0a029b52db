"""Maintenance of a repository: versions yanked, removed, pruned and mirrored by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ign_deploy.errors import ConfigurationError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.parallel import map_parallel
from ign_deploy.module.version import plain_version
from ign_deploy.pipeline.checks import check_repository
from ign_deploy.pipeline.context import RunContext, open_mirror_source
from ign_deploy.pipeline.verify import verify_file
from ign_deploy.repositories.skipped import SourceReporter

if TYPE_CHECKING:
    from ign_deploy.repositories import CatalogueEntry, Repository
    from ign_deploy.repositories.maintenance import StatusChange
    from ign_deploy.repositories.mirror import Mirrored
    from ign_deploy.repositories.record import Release


_WORKERS = 8


class Named(NamedTuple):
    """A version by name."""

    id: str
    version: str


def split_name(text: str) -> Named:
    """Read ``ID@VERSION``; raises ConfigurationError."""
    module_id, at, version = text.strip().rpartition("@")
    if not (module_id and at and version):
        raise ConfigurationError(
            f"{text[:200]!a} is not a version of a module",
            hint="write ID@VERSION, such as com.example.pump@1.2.0.",
        )
    return Named(module_id, plain_version(version))


def require_confirmed(named: Iterable[Named], confirmed: Sequence[str]) -> None:
    """Raise ConfigurationError unless exactly the versions to remove were repeated."""
    expected = {f"{each.id}@{each.version}" for each in named}
    if expected == {text.strip() for text in confirmed}:
        return
    options = " ".join(f"--confirm {text}" for text in sorted(expected))
    raise ConfigurationError(
        "the removal, which can't be undone, is not confirmed for exactly these versions",
        hint=f"repeat the versions: {options}. To only keep them from being selected, use `yank`.",
    )


def yank_versions(
    named: Sequence[Named], context: RunContext, *, is_yanked: bool
) -> list[tuple[Named, str]]:
    """Yank the versions, or undo it; all are looked up first. Returns the result of each."""
    from ign_deploy.repositories.maintenance import unyank, yank

    named = list(dict.fromkeys(named))
    releases = _look_up(named, context)
    verb, act = ("yanked", yank) if is_yanked else ("unyanked", unyank)
    if context.settings.dry_run:
        return [(each, verb) for each in named]
    said = _status_change(context.settings.reason.strip(), context)
    changed = act(context.repository, *releases, change=said)
    done = [
        (name, verb if each in changed else "unchanged")
        for name, each in zip(named, releases, strict=True)
    ]
    _audit("yank" if is_yanked else "unyank", done, context)
    return done


def remove_versions(
    named: Sequence[Named], context: RunContext, *, reason: str, action: str = "remove"
) -> list[tuple[Named, str]]:
    """Remove the versions; all are looked up first. Returns the result of each.

    ``action`` is what the audit trail calls it.
    """
    from ign_deploy.repositories.maintenance import remove

    def report(release: Release) -> None:
        # At once: if a later one fails, these are removed nevertheless.
        context.reporter.info(f"removed {release.id} {release.version}")
        _audit(action, [(Named(release.id, release.version), "removed")], context)

    named = list(dict.fromkeys(named))
    releases = _look_up(named, context)
    if not context.settings.dry_run:
        said = _status_change(reason, context)
        remove(context.repository, *releases, change=said, on_removed=report)
    return [(each, "removed") for each in named]


def versions_to_prune(modules: Sequence[str], context: RunContext) -> list[Named]:
    """Return the versions beyond the newest ones, except those that deployments need."""
    from ign_deploy.repositories.maintenance import to_prune
    from ign_deploy.repositories.search import find_module

    repository, keep = context.repository, context.settings.keep
    protected = context.history.protected()
    given = [find_module(repository, name=name).id for name in modules]
    ids: list[str | None] = [*given] or [None]
    found = [
        Named(entry.id, entry.version)
        for module_id in ids
        for entry in to_prune(repository, keep=keep, protected=protected, module_id=module_id)
    ]
    context.reporter.info(f"{len(found)} versions are beyond the {keep} newest")
    return found


def _look_up(named: Sequence[Named], context: RunContext) -> list[Release]:
    """Find everything before the first change; the change must be recordable, too."""
    context.audit.check()
    return map_parallel(
        lambda each: context.repository.fetch(each.id, version=each.version),
        named,
        workers=_WORKERS,
    )


def _status_change(reason: str, context: RunContext) -> StatusChange:
    from ign_deploy.repositories.maintenance import StatusChange

    actor = context.published.provenance.actor
    return StatusChange(actor, context.now, context.redact(reason))


def _audit(action: str, done: Sequence[tuple[Named, str]], context: RunContext) -> None:
    for each, result in done:
        if result != "unchanged":
            context.audit.record(
                action,
                result,
                now=context.now,
                subject={"module": each.id, "version": each.version},
                details={"reason": context.settings.reason},
            )


def open_source(url: str, context: RunContext) -> tuple[Repository, SourceReporter]:
    """Return the repository to copy from, and what knows later whether all of it could be read.

    First, the target and the trust anchors are checked.
    """
    _ = context.workspace.trust  # before anything is transferred
    context.audit.check()
    reading = SourceReporter(context.reporter)
    source = open_mirror_source(url, context.with_report(replace(context.report, reporter=reading)))
    check_repository(context)
    return source, reading


def entries_to_mirror(
    source: Repository, names: Sequence[str], *, every_version: bool
) -> list[CatalogueEntry]:
    """Return the versions that the names select, oldest first; without names, of all modules.

    A name is an id or name, with ``@VERSION`` or ``@RANGE``; without it, it is the newest version,
    or every one. Yanked versions are copied with every version, and when given by exact version.
    """
    from ign_deploy.repositories.search import ListFilter, choose_version, find_module, list_modules
    from ign_deploy.repositories.versions import VersionRange, is_range

    if not names:
        wanted = ListFilter(every_version=every_version, include_yanked=every_version)
        return list(reversed(list_modules(source, wanted)))
    found: list[CatalogueEntry] = []
    for text in names:
        name, at, version = text.partition("@")
        version = plain_version(version)
        history = source.catalogue(find_module(source, name=name).id)
        if every_version and at and is_range(version):
            version_range = VersionRange.parse(version)
            chosen = [entry for entry in history if version_range.holds(entry.version)]
        elif every_version and not at:
            chosen = list(history)
        else:
            number = choose_version(source, module_id=history[0].id, wanted=version or None)
            chosen = [entry for entry in history if entry.version == number]
        found += reversed(chosen)
    return list(dict.fromkeys(found))


def copy_versions(
    source: Repository, entries: Sequence[CatalogueEntry], context: RunContext
) -> Sequence[Mirrored]:
    """Copy the versions into the run's repository; each goes into the audit trail."""
    from ign_deploy.repositories.mirror import mirror

    def verify(path: Path) -> VerifiedModule:
        return verify_file(path, context, match_settings=False)

    done = mirror(source, context.repository, entries, verify=verify, reporter=context.reporter)
    for each in done:
        context.audit.record(
            "mirror",
            each.outcome.value,
            now=context.now,
            subject={"module": each.release.id, "version": each.release.version},
            sha256=each.release.module_file.sha256,
        )
    return done
