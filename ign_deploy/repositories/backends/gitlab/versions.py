"""Versions in GitLab's package registry, published and claimed, where nothing is ever replaced.

A version is a generic package; of several files with one name the oldest counts: its number is the
lowest. Numbers are given before a file can be seen, so a lower one may appear later, except in a
package that did not exist: GitLab makes it in one transaction with its first file, and uploads that
come in between wait for its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import IgnDeployError, NotInRepository, RepositoryError
from ign_deploy.net.response import Response
from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.backends.gitlab.api import Package, PackageFile
from ign_deploy.repositories.backends.gitlab.packages import (
    DOCUMENTS,
    PackageLocation,
    Packages,
    by_number,
    claim_generation,
    claim_name,
    document_version,
    file_path,
    hidden,
    is_served_by_name,
    matches,
    named,
    newest_named,
    sha256_of,
    uploaded,
)
from ign_deploy.repositories.claims import MAX_CLAIM_SIZE, Claim, claim_bytes, parse_claim
from ign_deploy.repositories.record import (
    MAX_RECORD_SIZE,
    RECORD_NAME,
    Release,
    ReleaseFile,
    is_safe_component,
)
from ign_deploy.repositories.status_events import status_folder
from ign_deploy.repositories.store import Key

CONFIRM_WAIT = 2.0
"""Seconds until a file that got its number before ours can be seen."""
_POLL = 0.5
_POLLS = 20


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
        if not records or records[0].file_sha256 == sha256_of(newest):
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
        yield from _keys(self._packages.find(module_id or ""))

    def listing(self) -> Iterator[Key]:
        """See ``ListingGuard``: a request, and one more per module that has status events."""
        keys = set(_keys(self._packages.find()))
        yield from keys
        for module_id in {key.id for key in keys}:
            events = PackageLocation(DOCUMENTS, document_version(status_folder(module_id)))
            if self._packages.known_id(events) is not None:
                names = {file.file_name for file in self._packages.files_of_known(events)}
                yield from [Key(module_id, "")] * len(names)

    def discard(self, key: Key, release: Release) -> None:
        """See ``VersionStore.discard``; needs the right to delete: the role Maintainer."""
        names = {file.name for file in release.files}
        files = self._packages.files(PackageLocation(*key))
        self._packages.remove(file for file in files if file.file_name in names)


class GitLabClaims:
    """See ``claims.ClaimStore``."""

    def __init__(self, packages: Packages, *, reporter: Reporter, wait_policy: WaitPolicy) -> None:
        self._packages = packages
        self._reporter = reporter
        self._confirm_wait = min(CONFIRM_WAIT, wait_policy.grace)
        self._sleep = wait_policy.sleep

    def now(self) -> datetime:
        """See ``ClaimStore.now``."""
        return self._packages.api.now()

    def claims_unseen(self) -> bool:
        """See ``ClaimStore.claims_unseen``: a claim is removed once there is a record."""
        return False

    def current_claim(self, key: Key) -> Claim | None:
        """See ``ClaimStore.current_claim``."""
        location = PackageLocation(*key)
        files = self._packages.files(location)
        claims = _claims(files)
        if not claims or named(files, RECORD_NAME):
            return None  # what is published can't be claimed, whatever was left there
        generation = max(claims)
        data = self._packages.read(location, claims[generation][0], limit=MAX_CLAIM_SIZE + 1)
        return Claim("", generation) if data is None else parse_claim(data, generation=generation)

    def claim(self, key: Key, claim: Claim) -> bool:
        """See ``ClaimStore.claim``."""
        location, name = PackageLocation(*key), claim_name(claim.generation, claim.holder)
        data = claim_bytes(claim)
        digest = sha256_of(data)

        def is_ours(file: PackageFile) -> bool:
            return file.file_name == name and file.file_sha256 == digest

        def arrived() -> bool:
            return any(is_ours(file) for file in self._packages.files(location))

        self._packages.put(location, name, data, confirm=arrived)
        # The winner removes all claims, ours too, once its record is there.
        files = self._listed(location, name, lambda file: is_ours(file) or _is_record(file))
        won = _is_oldest(files, claim.generation, is_ours)
        if won and not is_ours(files[0]):
            # The package was there before: a file with a lower number may still be hidden.
            self._sleep(self._confirm_wait)
            files = self._packages.files(location)
            won = _is_oldest(files, claim.generation, is_ours)
        if not won:
            self._clean(file for file in files if is_ours(file))
        return won

    def put_files(
        self, key: Key, release: Release, *, files: Mapping[str, Path], progress: Progress
    ) -> None:
        """See ``ClaimStore.put_files``; one after another, as GitLab asks for."""
        location = PackageLocation(*key)
        there = self._packages.files(location)
        if named(there, RECORD_NAME):
            return  # another run was faster: its files aren't to be hidden by ours
        for file in release.files:
            newest = newest_named(there, file.name)
            if newest is not None and matches(newest, file):
                progress(file.size)
            else:
                self._put_file(location, file, source=files[file.name], progress=progress)

    def put_record(self, key: Key, claim: Claim, record: bytes) -> bool:  # noqa: ARG002
        """See ``ClaimStore.put_record``."""
        location = PackageLocation(*key)

        def arrived() -> bool:
            return bool(named(self._packages.files(location), RECORD_NAME))

        self._packages.put(location, RECORD_NAME, record, confirm=arrived)
        files = self._listed(location, RECORD_NAME, _is_record)
        self._clean(file for each in _claims(files).values() for file in each)
        return True

    def _put_file(
        self, location: PackageLocation, file: ReleaseFile, *, source: Path, progress: Progress
    ) -> None:
        def arrived() -> bool:
            newest = newest_named(self._packages.files(location), file.name)
            return newest is not None and matches(newest, file)

        def send() -> Response:
            return self._packages.put_file(
                location, file, source=source, progress=progress, confirm=arrived
            )

        sent = send()
        if not sent.ok:
            # An unpublished file of a run whose claim has ended.
            left = named(self._packages.files(location), file.name)
            self._packages.remove(left)
            sent = send()
        if not sent.ok:
            raise self._packages.api.error_for_response(sent)
        stored = uploaded(sent)
        if stored is not None and not matches(stored, file):
            raise RepositoryError(
                f"GitLab stored {file.name} as {stored.size} bytes with SHA-256 "
                f"{stored.file_sha256}, expected {file.size} bytes with {file.sha256}",
                hint="check what lies between here and GitLab, then run again; nothing was "
                "published.",
            )

    def _listed(
        self, location: PackageLocation, name: str, test: Callable[[PackageFile], bool]
    ) -> list[PackageFile]:
        """Return the files once what was uploaded is among them: a list may be behind."""
        for _ in range(_POLLS):
            files = self._packages.files(location)
            if any(test(file) for file in files):
                return files
            self._sleep(_POLL)
        raise RepositoryError(
            f"GitLab accepted {name} of {location.text}, but doesn't list it with its SHA-256",
            hint="check whether the package was hidden or deleted; GitLab 14 or later is needed.",
        )

    def _clean(self, files: Iterator[PackageFile]) -> None:
        """Delete claims that have ended; a token that may not delete leaves them: no harm."""
        try:
            self._packages.remove(files)
        except IgnDeployError as problem:
            self._reporter.info(f"an old claim stays: {problem.message}")


def _keys(found: Sequence[Package]) -> Iterator[Key]:
    for name, version in {(each.name, each.version or "") for each in found}:
        if is_safe_component(name) and is_safe_component(version):
            yield Key(name, version)


def _claims(files: Sequence[PackageFile]) -> dict[int, list[PackageFile]]:
    """Return the claims by generation, each the oldest first."""
    found: dict[int, list[PackageFile]] = {}
    for file in files:
        generation = claim_generation(file.file_name)
        if generation is not None:
            found.setdefault(generation, []).append(file)
    return found


def _is_oldest(
    files: Sequence[PackageFile], generation: int, test: Callable[[PackageFile], bool]
) -> bool:
    """Return whether the version is unpublished, and the oldest claim passes the test."""
    rivals = _claims(files).get(generation, [])
    return bool(rivals) and test(rivals[0]) and not named(files, RECORD_NAME)


def _is_record(file: PackageFile) -> bool:
    return file.file_name == RECORD_NAME
