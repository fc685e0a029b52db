"""Mirror: copy published versions, and that they were yanked, from one repository to another."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ign_deploy.errors import IgnDeployError, RepositoryError, VersionConflict
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import BufferedReporter, Reporter, SilentReporter
from ign_deploy.repositories import CatalogueEntry, Publication, PublishOutcome, Repository
from ign_deploy.repositories.download import download, require_agreement
from ign_deploy.repositories.record import FileRole, Release, ReleaseFile
from ign_deploy.repositories.same_content import require_same_content
from ign_deploy.repositories.status_events import (
    ModuleStatus,
    StatusEvent,
    StatusKind,
    read_events,
    status_event_names,
    status_folder,
)

_MOST_WORKERS = 4
"""Each verifies a module, which takes processor time."""
_CLOCKS_DIFFER = timedelta(minutes=5)
"""An event further in the future would outlast every later one."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A version that is in the target now; ``outcome`` says whether it was there before.

    ``release`` is the target's record: that of another file than the ``source``'s if the target had
    the version with the same content, packed otherwise.
    """

    source: Release
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
    """Copy the versions, each verified as in a download, then which of them were yanked.

    Whoever can write to the source must not undo what was decided in the target: a version that
    is yanked there stays so, and none is removed; both are warnings. The records stay byte for byte
    what they were. Run again, it copies what is missing; a version that the target has with the
    same content and signer counts as copied. Raises RepositoryError, VersionConflict when the
    target has other content, or VerificationError; what is in progress then is finished, and
    nothing new is started.
    """
    printing = threading.Lock()

    def copy(entry: CatalogueEntry) -> Mirrored:
        reported = BufferedReporter(reporter)
        try:
            with reported.group(f"{entry.id} {entry.version}"):
                release = source.fetch(entry.id, version=entry.version)
                publication = _Copy(source, target, release, verify, reported).run()
        finally:
            with printing:
                reported.play_back()
        return Mirrored(release, publication.release, publication.outcome)

    workers = min(target.check().workers, _MOST_WORKERS)
    done = map_parallel(copy, entries, workers=max(1, workers))
    for module_id in sorted({each.release.id for each in done}):
        mirrored = [each for each in done if each.release.id == module_id]
        _StatusCopy(source, target, module_id, reporter).run(mirrored)
    return done


@dataclass(frozen=True, slots=True)
class _Copy:
    """Copies one version, and reports it."""

    source: Repository
    target: Repository
    release: Release
    verify: Callable[[Path], VerifiedModule]
    reporter: Reporter

    def run(self) -> Publication:
        """Fetch, verify and publish the version."""
        release = self.release
        with tempfile.TemporaryDirectory(prefix="ign-deploy-mirror-") as folder:
            files = {file.name: self._fetch(file, Path(folder)) for file in release.files}
            module = self.verify(files[release.module_file.name])
            require_agreement(module, release=release)
            total = sum(file.size for file in release.files)
            title = f"uploading {release.id} {release.version}"
            try:
                with self.reporter.progress(title, total) as progress:
                    publication = self.target.publish(release, files=files, progress=progress)
            except VersionConflict as conflict:
                publication = self._published_before(module, conflict)
        self.reporter.info(f"{release.id} {release.version}: {publication.outcome.value}")
        return publication

    def _published_before(self, module: VerifiedModule, conflict: VersionConflict) -> Publication:
        """Return what the target has of the version; raises the conflict for other content."""
        name, version = self.release.id, self.release.version
        with tempfile.TemporaryDirectory(prefix="ign-deploy-mirror-") as folder:
            try:
                found = download(
                    self.target,
                    name,
                    version=version,
                    output_dir=Path(folder),
                    verify=self.verify,
                )
                there = self.target.fetch(name, version=version)
            except (IgnDeployError, OSError) as problem:
                raise conflict from problem
            require_same_content(module, found, conflict=conflict)
        if there.module_file.sha256 != found.sha256:
            raise conflict
        self.reporter.info(
            f"{name} {version} is in the target with the same content, packed otherwise: its file "
            f"stays, with the SHA-256 {found.sha256}"
        )
        return Publication(PublishOutcome.ALREADY_PUBLISHED, there, self.target.location)

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


@dataclass(frozen=True, slots=True)
class _StatusCopy:
    """Copies what the source says of mirrored versions, as far as it may say it of the target's."""

    source: Repository
    target: Repository
    module_id: str
    reporter: Reporter

    def run(self, mirrored: Sequence[Mirrored]) -> None:
        """Yank what is yanked in the source; report what else differs."""
        own = self.target.maintenance.status(self.module_id)
        there = self.target.maintenance.documents
        events = self._events()
        is_changed = False
        for each in mirrored:
            release = each.source
            name, last = _last_event(release, events)
            if last is None or name in own.names:
                continue
            yanked = own.yanked(release.version) is not None
            is_same_file = each.release.module_file.sha256 == release.module_file.sha256
            if last.kind is StatusKind.YANKED and not yanked and not is_same_file:
                # The event names a file that the target doesn't have.
                self.reporter.warning(
                    f"{release.id} {release.version} is yanked in the source, but not here, where "
                    "it is another file; to follow, run "
                    f"`ign-deploy yank {release.id}@{release.version}`"
                )
            elif last.kind is StatusKind.YANKED and not yanked:
                # The event as it was parsed: the source could answer differently the next time.
                there.add(f"{status_folder(self.module_id)}/{name}", last.to_json())
                is_changed = True
            elif last.kind is StatusKind.UNYANKED and yanked:
                self.reporter.warning(
                    f"{release.id} {release.version} is no longer yanked in the source, but is "
                    f"here; to follow, run `ign-deploy unyank {release.id}@{release.version}`"
                )
        if is_changed:
            self.target.maintenance.refresh(self.module_id)
        self._report_removed(own)

    def _events(self) -> Mapping[str, StatusEvent]:
        documents = self.source.maintenance.documents
        names = status_event_names(documents, self.module_id)
        # The source warns itself of what it can't read, when its status is read.
        return read_events(documents, self.module_id, names=names, reporter=SilentReporter())

    def _report_removed(self, own: ModuleStatus) -> None:
        status = self.source.maintenance.status(self.module_id)
        removed = {each for each in status.states if status.is_removed(each)}
        if not removed:
            return
        for entry in self.target.catalogue(self.module_id):
            if entry.version in removed and not own.is_removed(entry.version):
                self.reporter.warning(
                    f"{entry.id} {entry.version} was removed from the source, but is still here; "
                    f"to follow, run `ign-deploy remove {entry.id}@{entry.version}`"
                )


def _last_event(
    release: Release, events: Mapping[str, StatusEvent]
) -> tuple[str, StatusEvent | None]:
    """Return the last event of that very file, with its name."""
    limit = (datetime.now(UTC) + _CLOCKS_DIFFER).strftime("%Y-%m-%dT%H:%M:%SZ")
    found: tuple[str, StatusEvent | None] = ("", None)
    for name, event in events.items():
        is_about = (event.version, event.sha256) == (
            release.version,
            release.module_file.sha256,
        )
        if is_about and event.at < limit:
            found = (name, event)
    return found
