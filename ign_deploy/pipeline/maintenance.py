"""Maintenance of a repository: versions yanked, removed and pruned by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ign_deploy.errors import ConfigurationError
from ign_deploy.pipeline.context import RunContext

if TYPE_CHECKING:
    from ign_deploy.repositories.maintenance import StatusChange
    from ign_deploy.repositories.record import Release


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
    return Named(module_id, version)


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

    releases = _look_up(named, context)
    verb, act = ("yanked", yank) if is_yanked else ("unyanked", unyank)
    if context.settings.dry_run:
        return [(each, verb) for each in named]
    said = _status_change(context.settings.reason.strip(), context)
    results = [
        verb if act(context.repository, each, change=said) else "unchanged" for each in releases
    ]
    done = list(zip(named, results, strict=True))
    _audit("yank" if is_yanked else "unyank", done, context)
    return done


def remove_versions(
    named: Sequence[Named], context: RunContext, *, reason: str, action: str = "remove"
) -> list[tuple[Named, str]]:
    """Remove the versions; all are looked up first. Returns the result of each.

    ``action`` is what the audit trail calls it.
    """
    from ign_deploy.repositories.maintenance import remove

    releases = _look_up(named, context)
    if not context.settings.dry_run:
        said = _status_change(reason, context)
        for each in releases:
            remove(context.repository, each, change=said)
            context.reporter.info(f"removed {each.id} {each.version}")
    done = [(each, "removed") for each in named]
    if not context.settings.dry_run:
        _audit(action, done, context)
    return done


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
    return [context.repository.fetch(each.id, version=each.version) for each in named]


def _status_change(reason: str, context: RunContext) -> StatusChange:
    from ign_deploy.repositories.maintenance import StatusChange

    return StatusChange(context.provenance.actor, context.now, reason)


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
