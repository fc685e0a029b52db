"""Yanking, removing and pruning by name, as a user or a job asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from ign_deploy.errors import ConfigurationError
from ign_deploy.report import Reporter
from ign_deploy.settings import Settings

if TYPE_CHECKING:
    from ign_deploy.repositories import Repository


class Named(NamedTuple):
    """A version by name."""

    id: str
    version: str


def split_name(text: str) -> Named:
    """Read ``ID@VERSION``; raises ConfigurationError."""
    module_id, at, version = text.strip().rpartition("@")
    if not (module_id and at and version):
        raise ConfigurationError(
            f"{text[:200]!a} names no version of a module",
            hint="write ID@VERSION, such as com.example.pump@1.2.0.",
        )
    return Named(module_id, version)


def require_confirmed(named: Iterable[Named], confirmed: Sequence[str]) -> None:
    """Raise ConfigurationError unless exactly what is to be removed was repeated."""
    wanted = {f"{each.id}@{each.version}" for each in named}
    if wanted == {text.strip() for text in confirmed}:
        return
    options = " ".join(f"--confirm {text}" for text in sorted(wanted))
    raise ConfigurationError(
        "removing can't be undone, and it isn't confirmed for exactly these versions",
        hint=f"repeat what is to go: {options}. To only keep it from being chosen, use `yank`.",
    )


def yank_versions(
    repository: Repository,
    named: Sequence[Named],
    *,
    is_yanked: bool,
    settings: Settings,
    by: str,
    now: datetime,
    reporter: Reporter,
) -> list[tuple[Named, bool]]:
    """Yank the versions, or take it back; all are looked up first. Tells which were changed."""
    from ign_deploy.repositories.maintenance import StatusChange, unyank, yank

    releases = [repository.fetch(each.id, version=each.version) for each in named]
    if settings.dry_run:
        return [(each, True) for each in named]
    said = StatusChange(by, now, settings.reason.strip())
    act = yank if is_yanked else unyank
    return [
        (each, act(repository, release, said=said, reporter=reporter))
        for each, release in zip(named, releases, strict=True)
    ]


def remove_versions(
    repository: Repository,
    named: Sequence[Named],
    *,
    reason: str,
    is_rehearsed: bool,
    by: str,
    now: datetime,
    reporter: Reporter,
) -> None:
    """Remove the versions; all are looked up first."""
    from ign_deploy.repositories.maintenance import StatusChange, remove

    releases = [repository.fetch(each.id, version=each.version) for each in named]
    if is_rehearsed:
        return
    for release in releases:
        remove(repository, release, said=StatusChange(by, now, reason), reporter=reporter)
        reporter.info(f"removed {release.id} {release.version}")


def versions_to_prune(
    repository: Repository, *, modules: Sequence[str], keep: int, reporter: Reporter
) -> list[Named]:
    """Return the versions beyond the newest; what deployments need is left."""
    from ign_deploy.deployment.history import History
    from ign_deploy.repositories.maintenance import to_prune
    from ign_deploy.repositories.search import find_module

    protected = History(repository.maintenance.documents, reporter=reporter).protected()
    given = [find_module(repository, name=name).id for name in modules]
    ids: list[str | None] = [*given] or [None]
    found = [
        Named(entry.id, entry.version)
        for module_id in ids
        for entry in to_prune(repository, keep=keep, protected=protected, module_id=module_id)
    ]
    reporter.info(f"{len(found)} versions are beyond the {keep} newest")
    return found
