"""The repository's small files: of several with one name the newest counts."""

from __future__ import annotations

from collections.abc import Callable

from ign_deploy.errors import IgnDeployError, RepositoryError
from ign_deploy.net.response import Response
from ign_deploy.report import Reporter
from ign_deploy.repositories.backends.gitlab.api import PackageFile
from ign_deploy.repositories.backends.gitlab.packages import (
    DOCUMENTS,
    PackageLocation,
    Packages,
    decode,
    document_version,
    encode,
    named,
    sha256_of,
    uploaded,
)
from ign_deploy.repositories.store import MAX_DOCUMENT_SIZE, Document

_DUPLICATES = (
    f"allow duplicates for the package {DOCUMENTS} (the group's Settings > Packages and registries "
    "> Generic > Exceptions), or publish with a maintainer's token."
)


class GitLabDocuments:
    """See ``store.DocumentStore``."""

    def __init__(self, packages: Packages, *, reporter: Reporter) -> None:
        self._packages = packages
        self._reporter = reporter
        self._keeps_old = False
        self._overlapped = False

    def read(self, path: str) -> Document | None:
        """See ``DocumentStore.read``."""
        location, name = _located(path)
        data = self._packages.read_newest(location, name, limit=MAX_DOCUMENT_SIZE)
        return None if data is None else Document(data)

    def write(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``DocumentStore.write``; written at once, and compared afterwards."""
        location, name = _located(path)
        arrived = self._arrived(path, data)
        sent = self._packages.put(location, name, data, confirm=arrived)
        if not sent.ok:
            self._remove_all(location, name)
            sent = self._packages.put(location, name, data, confirm=arrived)
        if not sent.ok:
            raise self._duplicate(sent)
        return self._is_newest(location, name, uploaded(sent), replaces)

    def add(self, path: str, data: bytes) -> None:
        """See ``DocumentStore.add``."""
        location, name = _located(path)
        arrived = self._arrived(path, data)
        sent = self._packages.put(location, name, data, confirm=arrived)
        if not sent.ok and not arrived():
            raise self._duplicate(sent)

    def names(self, folder: str) -> list[str]:
        """See ``DocumentStore.names``."""
        files = self._packages.files(PackageLocation(DOCUMENTS, document_version(folder)))
        found = {decode(file.file_name) or "" for file in files}
        return sorted(name for name in found if _is_name(name))

    def _arrived(self, path: str, data: bytes) -> Callable[[], bool]:
        """Return what tells whether an upload arrived whose acknowledgement got lost."""

        def arrived() -> bool:
            there = self.read(path)
            return there is not None and there.data == data

        return arrived

    def take_overlap(self) -> bool:
        """Return whether a write since the last question may have replaced another run's."""
        overlapped, self._overlapped = self._overlapped, False
        return overlapped

    def _is_newest(
        self,
        location: PackageLocation,
        name: str,
        written: PackageFile | None,
        replaces: Document | None,
    ) -> bool:
        """Return whether what was written counts; delete what is older.

        Every write is a file of its own, in the order of their numbers. One that was overtaken
        before it could be seen went unnoticed by the run that overtook it. A file between what was
        read and what was written is an overlap.
        """
        files = named(self._packages.files_of_known(location), name)
        if written is None or not files or files[-1].id != written.id:
            self._overlapped = True
            return False
        older = files[:-1]
        expected = [] if replaces is None else [sha256_of(replaces.data)]
        if [file.file_sha256 for file in older[-1:]] != expected:
            self._overlapped = True
        if self._keeps_old:
            return True
        try:
            self._packages.remove(older)
        except IgnDeployError as problem:
            self._keeps_old = True
            self._reporter.info(f"older copies of {name} stay: {problem.message}")
        return True

    def _remove_all(self, location: PackageLocation, name: str) -> None:
        try:
            files = self._packages.files(location)
            self._packages.remove(file for file in files if file.file_name == name)
        except RepositoryError as cause:
            raise RepositoryError(
                f"{name} can't be replaced, since the project refuses duplicates: {cause.message}",
                hint=_DUPLICATES,
            ) from cause

    def _duplicate(self, sent: Response) -> RepositoryError:
        problem = self._packages.api.error_for_response(sent)
        return RepositoryError(problem.message, hint=_DUPLICATES)


def _is_name(text: str) -> bool:
    """Return whether an untrusted text is a plain name: it may become a file's elsewhere."""
    return text.isprintable() and text not in {"", ".", ".."} and "/" not in text


def _located(path: str) -> tuple[PackageLocation, str]:
    folder, _, name = path.rpartition("/")
    return PackageLocation(DOCUMENTS, document_version(folder)), encode(name)
