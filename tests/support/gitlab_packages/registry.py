"""The simulated GitLab's package registry: what is in it, and what its database promises.

Numbers are given when a row is inserted, but others see the row only once its transaction ends;
``commit_delay`` keeps it open. A package is made in the transaction of its first file, and the
unique index on project, name and version makes others wait (or fail, ``race_fails``).
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count


@dataclass
class Switches:
    """How this GitLab behaves.

    ``commit_delay`` gives the seconds between insert and commit, per upload. ``unique_index``
    False makes two packages when two writers come at once. ``list_lag`` is how long lists are
    behind, in seconds. ``download_by_number`` came with 18.4, ``version_filter`` with 16.6.
    ``keyset``: entries beyond the ``largest_offset`` are listed by keyset only.
    """

    commit_delay: Callable[[], float] = lambda: 0.0
    unique_index: bool = True
    race_fails: bool = False
    list_lag: float = 0.0
    download_by_number: bool = True
    version_filter: bool = True
    redirect_downloads: bool = False
    next_page_header: bool = True
    keyset: bool = False
    largest_offset: int = 50_000
    max_file_size: int = 5 << 30
    page_size: int = 100


@dataclass
class Project:
    """A project; ``job_allowlist`` are the paths whose jobs may come in.

    ``duplicate_exceptions`` and ``protected`` are expressions for names of packages.
    """

    path: str
    number: int
    public: bool = False
    registry: bool = True
    duplicates: bool = True
    duplicate_exceptions: str = r"(?!)"
    protected: str = r"(?!)"
    job_allowlist: set[str] = field(default_factory=set)
    moved_to: str = ""
    storage_full: bool = False


@dataclass
class File:
    """A file of a package; ``visible_at`` is None until it is committed."""

    id: int
    package_id: int
    name: str
    data: bytes
    visible_at: float | None = None
    deleted: bool = False
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        self.sha256 = hashlib.sha256(self.data).hexdigest()


@dataclass
class Package:
    """A generic package of a project."""

    id: int
    project: str
    name: str
    version: str
    status: str = "default"
    committed: bool = False
    files: list[File] = field(default_factory=list)


class DuplicateFile(Exception):
    """The project refuses a second file of the name."""


class RaceLost(Exception):
    """The unique index refused a second package: GitLab answers 500."""


class Registry:
    """All packages of all projects; every method may be called by many threads."""

    def __init__(self, switches: Switches) -> None:
        self.switches = switches
        self.packages: list[Package] = []
        self._numbers = count(1)
        self._lock = threading.RLock()
        self._creation: dict[tuple[str, str, str], threading.Lock] = {}

    def upload(self, project: Project, location: tuple[str, str], name: str, data: bytes) -> File:
        """Insert a file in one transaction, with its package if there is none."""
        package = self._find(project.path, *location)
        if package is not None:
            return self._insert(project, package, name, data)
        lock = self._creation_lock(project.path, *location)
        if not self.switches.unique_index:
            return self._create(project, location, name, data)
        if not lock.acquire(blocking=not self.switches.race_fails):
            raise RaceLost
        try:
            package = self._find(project.path, *location)
            if package is None:
                return self._create(project, location, name, data)
        finally:
            lock.release()
        return self._insert(project, package, name, data)

    def listed(self, project: str) -> list[Package]:
        """Return the packages that the API lists, oldest first."""
        with self._lock:
            return [
                each
                for each in self.packages
                if each.project == project
                and each.committed
                and each.status in {"default", "error", "deprecated"}
                and self._visible(each)
            ]

    def package(self, project: str, number: int) -> Package | None:
        """Return a package by its number, unless it is being deleted."""
        with self._lock:
            return next(
                (
                    each
                    for each in self.packages
                    if each.id == number
                    and each.project == project
                    and each.committed
                    and each.status != "pending_destruction"
                ),
                None,
            )

    def files(self, package: Package, *, lag: float | None = None) -> list[File]:
        """Return a package's files as they are listed, by number."""
        with self._lock:
            found = [each for each in package.files if self._seen(each, lag=lag)]
        return sorted(found, key=lambda file: file.id)

    def by_name(self, project: str, location: tuple[str, str], name: str) -> File | None:
        """Return the newest file of the name, of the first package that matches."""
        package = self._find(project, *location)
        if package is None:
            return None
        named = [each for each in self.files(package, lag=0.0) if each.name == name]
        return named[-1] if named else None

    def content(self, project: str) -> Iterator[tuple[str, str, File]]:
        """Yield package name, version and file for all that is there."""
        with self._lock:
            for package in self.packages:
                if package.project == project:
                    for file in package.files:
                        if not file.deleted and file.visible_at is not None:
                            yield package.name, package.version, file

    def _visible(self, package: Package) -> bool:
        return any(self._seen(each) or each.deleted for each in package.files)

    def _seen(self, file: File, *, lag: float | None = None) -> bool:
        behind = self.switches.list_lag if lag is None else lag
        at = file.visible_at
        return not file.deleted and at is not None and time.monotonic() >= at + behind

    def _find(self, project: str, name: str, version: str) -> Package | None:
        with self._lock:
            return next(
                (
                    each
                    for each in self.packages
                    if (each.project, each.name, each.version) == (project, name, version)
                    and each.committed
                    and each.status != "pending_destruction"
                ),
                None,
            )

    def _create(self, project: Project, location: tuple[str, str], name: str, data: bytes) -> File:
        with self._lock:
            package = Package(next(self._numbers), project.path, *location)
            self.packages.append(package)
        return self._insert(project, package, name, data)

    def _insert(self, project: Project, package: Package, name: str, data: bytes) -> File:
        with self._lock:
            there = any(each.name == name and not each.deleted for each in package.files)
            allowed = project.duplicates or re.fullmatch(project.duplicate_exceptions, package.name)
            if there and not allowed:
                raise DuplicateFile
            file = File(next(self._numbers), package.id, name, data)
            package.files.append(file)
        time.sleep(self.switches.commit_delay())
        with self._lock:
            package.committed = True
            file.visible_at = time.monotonic()
        return file

    def _creation_lock(self, *location: str) -> threading.Lock:
        project, name, version = location
        with self._lock:
            return self._creation.setdefault((project, name, version), threading.Lock())
