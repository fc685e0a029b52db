"""What a record that is there already means for whoever wants to publish or fetch the version."""

from __future__ import annotations

from ign_deploy.errors import NotInRepository, VersionConflict
from ign_deploy.report import Reporter
from ign_deploy.repositories.record import Release
from ign_deploy.repositories.status_events import StatusEvent, read_module_status
from ign_deploy.repositories.store import DocumentStore


def require_same(
    present: Release, offered: Release, *, documents: DocumentStore, reporter: Reporter
) -> Release:
    """Return the published record if it is of the same module.

    Raises VersionConflict when it is of another one, or when the version was removed: a removed
    version never comes back, not even with the same bytes, since an old job could be run again.
    """
    theirs, ours = present.module_file.sha256, offered.module_file.sha256
    if theirs != ours:
        raise VersionConflict(
            f"{offered.id} {offered.version} is already published with other bytes: there SHA-256 "
            f"{theirs}, here {ours}; nothing was changed",
            hint="raise the module's version and publish that: a published version never changes.",
        )
    if (mark := _removal(present, documents=documents, reporter=reporter)) is not None:
        raise VersionConflict(
            f"{_removed_text(mark)}; nothing was changed",
            hint="raise the module's version and publish that: a removed version stays removed.",
        )
    return present


def refuse_removed(release: Release, *, documents: DocumentStore, reporter: Reporter) -> None:
    """Raise NotInRepository, with who removed it and why, if the version was removed."""
    if (mark := _removal(release, documents=documents, reporter=reporter)) is not None:
        raise NotInRepository(_removed_text(mark), hint="take another version.")


def _removal(
    release: Release, *, documents: DocumentStore, reporter: Reporter
) -> StatusEvent | None:
    marked = read_module_status(documents, release.id, reporter=reporter)
    state = marked.states.get(release.version)
    return None if state is None else state.removed


def _removed_text(mark: StatusEvent) -> str:
    by = f" by {mark.by}" if mark.by else ""
    reason = f": {mark.reason}" if mark.reason else ""
    return f"{mark.id} {mark.version} was removed on {mark.at[:10]}{by}{reason}"
