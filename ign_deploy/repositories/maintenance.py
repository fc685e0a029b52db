"""Maintenance of published versions: yank, unyank, remove, prune."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from ign_deploy.errors import ConfigurationError, IgnDeployError, NotInRepository
from ign_deploy.module.parallel import map_parallel
from ign_deploy.repositories import CatalogueEntry, Repository
from ign_deploy.repositories.record import Release
from ign_deploy.repositories.status_events import (
    ModuleStatus,
    StatusEvent,
    StatusKind,
    add_status_event,
)
from ign_deploy.repositories.versions import is_final

_MAX_TEXT = 2000
_WORKERS = 8


@dataclass(frozen=True, slots=True)
class StatusChange:
    """Who changes the status of a version, when (aware) and why."""

    by: str
    at: datetime
    reason: str = ""

    def event(self, kind: StatusKind, release: Release) -> StatusEvent:
        """Return the event for a version; raises ConfigurationError if the reason is too long."""
        if len(self.reason) > _MAX_TEXT:
            raise ConfigurationError(
                f"the reason is longer than {_MAX_TEXT} characters", hint="shorten --reason."
            )
        return StatusEvent(
            kind=kind,
            id=release.id,
            version=release.version,
            sha256=release.module_file.sha256,
            reason=self.reason,
            by=self.by[:_MAX_TEXT],
            at=self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        )


def yank(repository: Repository, *releases: Release, change: StatusChange) -> list[Release]:
    """Yank versions: from then on they are installed only when requested by exact version.

    Returns those that weren't yanked for the same reason already. Raises NotInRepository, before
    anything is changed, for a version that was removed.
    """
    return _set_yanked(repository, releases, StatusKind.YANKED, reason=change.reason, change=change)


def unyank(repository: Repository, *releases: Release, change: StatusChange) -> list[Release]:
    """Undo a yank; returns the versions that were yanked. Raises as ``yank``."""
    return _set_yanked(repository, releases, StatusKind.UNYANKED, reason=None, change=change)


def _set_yanked(
    repository: Repository,
    releases: Sequence[Release],
    kind: StatusKind,
    *,
    reason: str | None,
    change: StatusChange,
) -> list[Release]:
    maintenance = repository.maintenance
    status = _status_of(repository, releases)
    for release in releases:
        if status[release.id].is_removed(release.version):
            raise NotInRepository(
                f"{release.id} {release.version} was removed",
                hint="publish a new version: a removed version stays removed.",
            )
    changed = [each for each in releases if status[each.id].yanked(each.version) != reason]
    for release in changed:
        add_status_event(maintenance.documents, change.event(kind, release))
    maintenance.refresh(*status)
    return changed


def remove(
    repository: Repository,
    *releases: Release,
    change: StatusChange,
    on_removed: Callable[[Release], None] = lambda _: None,
) -> None:
    """Delete the files of versions; their records and an event stay, so that they can't come back.

    ``on_removed`` is called for each version once it is removed, for one at a time. The indexes
    are written once, after all of them, or after the first failure. Run again, it finishes what
    was interrupted.
    """
    maintenance, reporting = repository.maintenance, threading.Lock()
    status = _status_of(repository, releases)

    def remove_one(release: Release) -> None:
        if not status[release.id].is_removed(release.version):
            # The event comes first: a version without its files must say why.
            add_status_event(maintenance.documents, change.event(StatusKind.REMOVED, release))
        maintenance.discard(release)
        with reporting:
            on_removed(release)

    try:
        map_parallel(remove_one, releases, workers=repository.check().workers)
    except Exception:
        with suppress(IgnDeployError):  # the first failure is the one to show
            maintenance.refresh(*status)
        raise
    maintenance.refresh(*status)


def to_prune(
    repository: Repository,
    *,
    keep: int,
    protected: Collection[tuple[str, str]],
    module_id: str | None = None,
) -> list[CatalogueEntry]:
    """Return the versions beyond the ``keep`` newest of each module, oldest first.

    The newest final release always stays, even if all ``keep`` newest are prereleases.
    ``protected`` are the (id, version) that an environment runs or could be rolled back to.
    """
    ids = [module_id] if module_id else [entry.id for entry in repository.catalogue()]
    found: list[CatalogueEntry] = []
    for history in map_parallel(repository.catalogue, ids, workers=_WORKERS):
        newest_final = next((entry.version for entry in history if is_final(entry.version)), None)
        found += [
            entry
            for entry in reversed(history[keep:])
            if entry.version != newest_final and (entry.id, entry.version) not in protected
        ]
    return found


def _status_of(repository: Repository, releases: Iterable[Release]) -> Mapping[str, ModuleStatus]:
    """Return the status of each of their modules."""
    ids = list(dict.fromkeys(release.id for release in releases))
    found = map_parallel(repository.maintenance.status, ids, workers=_WORKERS)
    return dict(zip(ids, found, strict=True))
