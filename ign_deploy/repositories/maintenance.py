"""The care of published versions: yank, take it back, remove, prune."""

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
    """Who says something about a version, when (aware) and why."""

    by: str
    at: datetime
    reason: str = ""

    def mark(self, kind: StatusKind, release: Release) -> StatusEvent:
        """Return the mark that says it of a version; raises ConfigurationError if it's too long."""
        if len(self.reason) > _MAX_TEXT:
            raise ConfigurationError(
                f"the reason has more than {_MAX_TEXT} characters", hint="shorten --reason."
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


def yank(repository: Repository, release: Release, *, said: StatusChange) -> bool:
    """StatusEvent a version so that nobody gets it who doesn't ask for it by its number.

    Returns False when it was yanked with the same reason before. Raises NotInRepository for a
    version that was removed.
    """
    if _yanked(repository, release) == said.reason:
        repository.maintenance.refresh(release.id)
        return False
    _mark(repository, said.mark(StatusKind.YANKED, release))
    return True


def unyank(repository: Repository, release: Release, *, said: StatusChange) -> bool:
    """Take a yank back; returns False when the version wasn't yanked."""
    if _yanked(repository, release) is None:
        repository.maintenance.refresh(release.id)
        return False
    _mark(repository, said.mark(StatusKind.UNYANKED, release))
    return True


def remove(repository: Repository, release: Release, *, said: StatusChange) -> None:
    """Delete a version's files; its record and a mark stay, so that it can't come back.

    Done again, it finishes what was interrupted.
    """
    marked = repository.maintenance.status(release.id)
    if not marked.is_removed(release.version):
        # The mark comes first: a version without its files must say why.
        add_status_event(repository.maintenance.documents, said.mark(StatusKind.REMOVED, release))
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

    Prereleases count apart from final releases only in that the newest final release always stays.
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


def _mark(repository: Repository, mark: StatusEvent) -> None:
    add_status_event(repository.maintenance.documents, mark)
    repository.maintenance.refresh(mark.id)


def _yanked(repository: Repository, release: Release) -> str | None:
    marked = repository.maintenance.status(release.id)
    if marked.is_removed(release.version):
        raise NotInRepository(
            f"{release.id} {release.version} was removed", hint="a removed version stays removed."
        )
    return marked.yanked(release.version)
