"""Published versions in GitLab's package registry, where nothing is ever replaced.

A version is a generic package; of several files with one name the oldest counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ign_deploy.errors import NotInRepository, RepositoryError
from ign_deploy.report import Progress
from ign_deploy.repositories.backends.gitlab.naming import file_path
from ign_deploy.repositories.backends.gitlab.packages import (
    PackageLocation,
    Packages,
    by_number,
    digest_of,
    hidden,
    is_served_by_name,
    matches,
    named,
    newest_named,
)
from ign_deploy.repositories.record import (
    MAX_RECORD_SIZE,
    RECORD_NAME,
    Release,
    ReleaseFile,
    is_safe_component,
)
from ign_deploy.repositories.store import Key


class GitLabVersions:
    """See ``store.VersionStore``."""

    def __init__(self, packages: Packages) -> None:
        self._packages = packages

    def read_record(self, key: Key) -> bytes | None:
        """See ``VersionStore.read_record``."""
        location = PackageLocation(*key)
        newest = self._packages.read_newest(location, RECORD_NAME, limit=MAX_RECORD_SIZE + 1)
        if newest is None:
            return None
        files = self._packages.files_of_known(location)
        records = named(files, RECORD_NAME) or named(self._packages.files(location), RECORD_NAME)
        # A list may be a moment behind.
        if not records or records[0].file_sha256 == digest_of(newest):
            return newest
        oldest = self._packages.read(location, records[0], limit=MAX_RECORD_SIZE + 1)
        if oldest is None:
            raise hidden(RECORD_NAME, location)
        return oldest

    def copy_file(self, key: Key, file: ReleaseFile, *, to: BinaryIO, progress: Progress) -> None:
        """See ``VersionStore.copy_file``."""
        location = PackageLocation(*key)
        files = self._packages.files_of_known(location)
        newest = newest_named(files, file.name)
        if newest is None:
            raise NotInRepository(
                f"{file.name} of {location.text} is gone from the package registry",
                hint="restore the file from a backup: what is published must stay.",
            )
        # With other bytes than the record's the newest is as good as any: it will be refused.
        wanted = next((each for each in reversed(files) if matches(each, file)), newest)
        if is_served_by_name(wanted, files):
            path = file_path(*location, file.name)
            self._packages.api.download(path, file, to=to, progress=progress)
            return
        try:
            self._packages.api.download(by_number(wanted), file, to=to, progress=progress)
        except RepositoryError as cause:
            raise hidden(file.name, location) from cause

    def versions(self, module_id: str | None = None) -> Iterator[Key]:
        """See ``VersionStore.versions``; packages that are none of ours may be among them."""
        found = self._packages.find(module_id or "")
        for name, version in {(each.name, each.version or "") for each in found}:
            if is_safe_component(name) and is_safe_component(version):
                yield Key(name, version)

    def discard(self, key: Key, release: Release) -> None:
        """See ``VersionStore.discard``; needs the right to delete: the role Maintainer."""
        names = {file.name for file in release.files}
        files = self._packages.files(PackageLocation(*key))
        self._packages.remove(file for file in files if file.file_name in names)
