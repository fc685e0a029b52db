"""Mirror: copy published versions and their status events from one repository to another."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.errors import RepositoryError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import BufferedReporter, Reporter
from ign_deploy.repositories import CatalogueEntry, PublishOutcome, Repository
from ign_deploy.repositories.download import require_agreement
from ign_deploy.repositories.record import FileRole, Release, ReleaseFile
from ign_deploy.repositories.status_events import status_event_names, status_folder

_MOST_WORKERS = 4
"""Each verifies a module, which takes processor time."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A version that is in the target now; ``outcome`` says whether it was there before."""

    release: Release
    outcome: PublishOutcome


def mirror(
    source: Repository,
    target: Repository,
    entries: Sequence[CatalogueEntry],
    *,
    verify: Callable[[Path], VerifiedModule],
    reporter: Reporter,
) -> list[Mirrored]:
    """Copy the versions, each verified as in a download, then the status events of their modules.

    The records stay byte for byte what they were. Run again, it copies what is missing. Raises
    RepositoryError, VersionConflict when the target has other bytes, or VerificationError; what is
    in progress then is finished, and nothing new is started.
    """
    printing = threading.Lock()

    def copy(entry: CatalogueEntry) -> Mirrored:
        reported = BufferedReporter(reporter)
        try:
            with reported.group(f"{entry.id} {entry.version}"):
                release = source.fetch(entry.id, version=entry.version)
                outcome = _Copy(source, target, release, verify, reported).run()
        finally:
            with printing:
                reported.play_back()
        return Mirrored(release, outcome)

    workers = min(source.check().workers, target.check().workers, _MOST_WORKERS)
    done = map_parallel(copy, entries, workers=max(1, workers))
    for module_id in sorted({each.release.id for each in done}):
        _copy_events(source, target, module_id)
    return done


@dataclass(frozen=True, slots=True)
class _Copy:
    """Copies one version, and reports it."""

    source: Repository
    target: Repository
    release: Release
    verify: Callable[[Path], VerifiedModule]
    reporter: Reporter

    def run(self) -> PublishOutcome:
        """Fetch, verify and publish the version."""
        release = self.release
        with tempfile.TemporaryDirectory(prefix="ign-deploy-mirror-") as folder:
            files = {file.name: self._fetch(file, Path(folder)) for file in release.files}
            module = self.verify(files[release.module_file.name])
            require_agreement(module, release=release)
            total = sum(file.size for file in release.files)
            title = f"uploading {release.id} {release.version}"
            with self.reporter.progress(title, total) as progress:
                publication = self.target.publish(release, files=files, progress=progress)
        self.reporter.info(f"{release.id} {release.version}: {publication.outcome.value}")
        return publication.outcome

    def _fetch(self, file: ReleaseFile, folder: Path) -> Path:
        path = folder / file.name
        title = f"downloading {file.name}"
        with path.open("xb") as stream, self.reporter.progress(title, file.size) as progress:
            self.source.fetch(
                self.release.id,
                version=self.release.version,
                to=stream,
                role=_role(self.release, file),
                progress=progress,
            )
        return path


def _role(release: Release, file: ReleaseFile) -> FileRole:
    """Return the file's role; a file that can't be fetched by its role can't be copied."""
    try:
        role = FileRole(file.role)
    except ValueError:
        role = None
    if role is None or release.file(role) != file:
        raise RepositoryError(
            f"{release.id} {release.version} has the file {file.name} with the role {file.role!a}, "
            "which this version of ign-deploy can't copy",
            hint="mirror it with a newer ign-deploy.",
        )
    return role


def _copy_events(source: Repository, target: Repository, module_id: str) -> None:
    """Copy the status events that the target lacks; their names are unique."""
    there, here = target.maintenance.documents, source.maintenance.documents
    known = set(status_event_names(there, module_id))
    missing = [name for name in status_event_names(here, module_id) if name not in known]
    for name in missing:
        path = f"{status_folder(module_id)}/{name}"
        if (document := here.read(path)) is not None:
            there.add(path, document.data)
    if missing:
        target.maintenance.refresh(module_id)
