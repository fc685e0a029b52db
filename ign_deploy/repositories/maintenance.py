"""Maintenance of published versions: yank, unyank, remove, prune."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from ign_deploy.errors import ConfigurationError, NotInRepository
from ign_deploy.repositories import CatalogueEntry, Repository
from ign_deploy.repositories.record import Release
from ign_deploy.repositories.status_events import (
    StatusEvent,
    StatusKind,
    add_status_event,
)
from ign_deploy.repositories.versions import is_final

_MAX_TEXT = 2000


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


def yank(repository: Repository, release: Release, *, change: StatusChange) -> bool:
    """Yank a version: from then on it is installed only when requested by exact version.

    Returns False if it is already yanked for the same reason. Raises NotInRepository for a
    version that was removed.
    """
    if _yanked(repository, release) == change.reason:
        repository.maintenance.refresh(release.id)
        return False
    _record(repository, change.event(StatusKind.YANKED, release))
    return True


def unyank(repository: Repository, release: Release, *, change: StatusChange) -> bool:
    """Undo a yank; returns False if the version isn't yanked."""
    if _yanked(repository, release) is None:
        repository.maintenance.refresh(release.id)
        return False
    _record(repository, change.event(StatusKind.UNYANKED, release))
    return True


def remove(repository: Repository, release: Release, *, change: StatusChange) -> None:
    """Delete a version's files; its record and an event stay, so that it can't come back.

    Run again, it finishes what was interrupted.
    """
    status = repository.maintenance.status(release.id)
    if not status.is_removed(release.version):
        # The event comes first: a version without its files must say why.
        add_status_event(
            repository.maintenance.documents, change.event(StatusKind.REMOVED, release)
        )
    repository.maintenance.discard(release)
    repository.maintenance.refresh(release.id)


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
    for each in ids:
        history = repository.catalogue(each)
        newest_final = next((entry.version for entry in history if is_final(entry.version)), None)
        found += [
            entry
            for entry in reversed(history[keep:])
            if entry.version != newest_final and (entry.id, entry.version) not in protected
        ]
    return found


def _record(repository: Repository, event: StatusEvent) -> None:
    add_status_event(repository.maintenance.documents, event)
    repository.maintenance.refresh(event.id)


def _yanked(repository: Repository, release: Release) -> str | None:
    status = repository.maintenance.status(release.id)
    if status.is_removed(release.version):
        raise NotInRepository(
            f"{release.id} {release.version} was removed",
            hint="publish a new version: a removed version stays removed.",
        )
    return status.yanked(release.version)
