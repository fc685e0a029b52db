"""Generic packages and their files, found by name: GitLab lets several files have the same.

Downloading by name gives the newest. Any other is downloaded by its number (GitLab 18.4 and later).
A version is the generic package ``<id>`` ``<version>``. Documents are in a package whose name no
module can have, one version of it per folder; names are encoded, as GitLab's grammar is narrower.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ign_deploy.errors import RepositoryError
from ign_deploy.net.response import Response
from ign_deploy.net.upload import UploadSource
from ign_deploy.report import Progress
from ign_deploy.repositories.backends.gitlab.api import (
    PACKAGE_FILE,
    PACKAGE_FILES,
    PACKAGES,
    GitLabApi,
    Package,
    PackageFile,
    is_duplicate,
)
from ign_deploy.repositories.record import ReleaseFile

_SELECT = "?select=package_file"
_CONTENT = {"Content-Type": "application/octet-stream"}
# A module's id begins with a letter or a digit.
DOCUMENTS = "_ign-deploy"
_ROOT = "root"
# GitLab: names [A-Za-z0-9._+-]+, versions the same without '..', files also '~' inside.
_OUTSIDE = re.compile(r"[^A-Za-z0-9_.-]|^\.|\.\Z|(?<=\.)\.")
_ESCAPE = re.compile(r"\+([0-9A-F]{2})")
_CLAIM = re.compile(r"claim-(0|[1-9][0-9]{0,5})-[A-Za-z0-9_.+-]{1,200}\.json")


class PackageLocation(NamedTuple):
    """A package by name and version."""

    package: str
    version: str

    @property
    def text(self) -> str:
        """The package as messages name it."""
        return f"{self.package} {self.version}"


class Packages:
    """Looks up, lists, uploads and deletes what is in the project's generic packages."""

    def __init__(self, api: GitLabApi) -> None:
        self.api = api
        self._ids: dict[PackageLocation, tuple[int, ...]] = {}

    def find(self, package: str = "", version: str = "") -> list[Package]:
        """Return the packages of that name and version (empty: any), and remember their numbers."""
        query: dict[str, str | int] = {"package_type": "generic"}
        # GitLab finds similar names too, and before 16.6 it knows no filter by version.
        query |= {"package_name": package} if package else {}
        query |= {"package_version": version} if version else {}
        title = "listing the packages"
        listed = self.api.entries("/packages", PACKAGES, title=title, query=query)
        if listed is None:
            raise self.api.missing(title=title)
        found = [
            each
            for each in listed
            if each.package_type == "generic"
            and (not package or each.name == package)
            and (not version or each.version == version)
        ]
        by_location: dict[PackageLocation, list[int]] = {}
        for each in found:
            by_location.setdefault(PackageLocation(each.name, each.version or ""), []).append(
                each.id
            )
        self._ids |= {location: tuple(sorted(ids)) for location, ids in by_location.items()}
        return found

    def known_id(self, location: PackageLocation) -> int | None:
        """Return the package's number, if it has been seen."""
        ids = self._ids.get(location)
        return None if ids is None else ids[0]

    def files(self, location: PackageLocation) -> list[PackageFile]:
        """Return the files of all packages of that name and version as of now, oldest first."""
        ids = sorted(each.id for each in self.find(*location))
        found = [file for each in ids for file in self._files_of(each, location) or ()]
        return sorted(found, key=lambda file: file.id)

    def files_of_known(self, location: PackageLocation) -> list[PackageFile]:
        """Return the same, without looking up the package again if it has been seen."""
        listed = [self._files_of(each, location) for each in self._ids.get(location, ())]
        if not listed or None in listed:
            return self.files(location)
        found = [file for files in listed for file in files or ()]
        return sorted(found, key=lambda file: file.id)

    def read_newest(self, location: PackageLocation, name: str, *, limit: int) -> bytes | None:
        """Return the newest small file of that name, None without one."""
        title = f"reading {name} of {location.text}"
        response = self.api.find(file_path(*location, name), limit=limit, title=title)
        return None if response is None else response.body

    def read(self, location: PackageLocation, file: PackageFile, *, limit: int) -> bytes | None:
        """Return one certain small file; None when it is gone, or GitLab can't give it."""
        newest = self.read_newest(location, file.file_name, limit=limit)
        if newest is not None and sha256_of(newest) == file.file_sha256:
            return newest
        response = self.api.find(
            by_number(file), limit=limit, title=f"reading {file.file_name} of {location.text}"
        )
        return None if response is None else response.body

    def put(
        self,
        location: PackageLocation,
        name: str,
        data: bytes,
        *,
        confirm: Callable[[], bool] | None = None,
    ) -> Response:
        """Upload a small file; return a success, or the rejection of a duplicate."""
        return self._judged(
            self.api.request(
                "PUT", file_path(*location, name) + _SELECT, body=data, headers=_CONTENT,
                title=f"uploading {name} to {location.text}", confirm=confirm, expect={400, 403},
            )
        )  # fmt: skip

    def put_file(
        self,
        location: PackageLocation,
        file: ReleaseFile,
        *,
        source: Path,
        progress: Progress,
        confirm: Callable[[], bool],
    ) -> Response:
        """Upload a file, compared with its record while it is sent; the rest is as for ``put``."""
        return self._judged(
            self.api.upload(
                "PUT", file_path(*location, file.name) + _SELECT, headers=_CONTENT,
                source=UploadSource(source, file.size, file.sha256), title=f"uploading {file.name}",
                progress=progress, confirm=confirm, expect={400, 403},
            )
        )  # fmt: skip

    def remove(self, files: Iterable[PackageFile]) -> None:
        """Delete files; missing ones are not an error. Raises RepositoryError if it can't."""
        for file in files:
            path = f"/packages/{file.package_id}/package_files/{file.id}"
            self.api.delete(path, title=f"deleting {file.file_name}")

    def _judged(self, response: Response) -> Response:
        if response.ok or is_duplicate(response):
            return response
        raise self.api.error_for_response(response)

    def _files_of(self, number: int, location: PackageLocation) -> list[PackageFile] | None:
        title = f"listing the files of {location.text}"
        path = f"/packages/{number}/package_files"
        return self.api.entries(path, PACKAGE_FILES, title=title, query={})


def uploaded(response: Response) -> PackageFile | None:
    """Return the file that an upload created; None when only its being there is known."""
    return None if response.confirmed else response.parse(PACKAGE_FILE)


def newest_named(files: Sequence[PackageFile], name: str) -> PackageFile | None:
    """Return the file that a download by name gives."""
    named = [file for file in files if file.file_name == name]
    return named[-1] if named else None


def by_number(file: PackageFile) -> str:
    """Return where a certain file is downloaded from."""
    return f"/packages/{file.package_id}/package_files/{file.id}/download"


def is_served_by_name(file: PackageFile, files: Sequence[PackageFile]) -> bool:
    """Return whether a download by name gives this one of a version's files."""
    # Of two packages of one name and version (one is being deleted) GitLab takes any.
    one_package = len({each.package_id for each in files}) == 1
    return one_package and newest_named(files, file.file_name) == file


def hidden(name: str, location: PackageLocation) -> RepositoryError:
    """Return the error for a file that only a newer GitLab could give."""
    return RepositoryError(
        f"{name} of {location.text} is hidden by a newer file of that name",
        hint="use GitLab 18.4 or later, or let a maintainer delete the newer file.",
    )


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 as GitLab states it."""
    return hashlib.sha256(data).hexdigest()


def named(files: Sequence[PackageFile], name: str) -> list[PackageFile]:
    """Return the files of that name, the oldest first."""
    return [file for file in files if file.file_name == name]


def matches(file: PackageFile, expected: ReleaseFile) -> bool:
    """Return whether it is the file that the record lists, by name, size and digest."""
    found = (file.file_name, file.size, file.file_sha256)
    return found == (expected.name, expected.size, expected.sha256)


def encode(text: str) -> str:
    """Write a text in the characters that GitLab accepts; each byte of another is ``+XX``."""
    octets = text.encode().decode("latin-1")
    return _OUTSIDE.sub(lambda match: f"+{ord(match[0]):02X}", octets)


def decode(name: str) -> str | None:
    """Return the text that ``encode`` wrote; None for a name that it never writes."""
    octets = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)
    try:
        text = octets.encode("latin-1").decode()
    except UnicodeError:
        return None
    return text if encode(text) == name else None


def document_version(folder: str) -> str:
    """Return the version of the package DOCUMENTS that holds a folder's documents."""
    if not folder:
        return _ROOT
    version = encode(folder)
    return version if version != _ROOT else "+72oot"


def claim_name(generation: int, holder: str) -> str:
    """Return the file name of a claim: each run has its own, so nothing is ever replaced."""
    return f"claim-{generation}-{encode(holder)}.json"


def claim_generation(name: str) -> int | None:
    """Return the generation of a claim by its file name, None if it isn't a claim."""
    match = _CLAIM.fullmatch(name)
    return None if match is None else int(match[1])


def file_path(package: str, version: str, name: str) -> str:
    """Return a file's path in the API, below the project."""
    parts = (quote(part, safe="") for part in (package, version, name))
    return f"/packages/generic/{'/'.join(parts)}"
