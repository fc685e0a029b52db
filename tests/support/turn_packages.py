"""GitLab's generic packages in memory, where every request is a point at which others may go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ign_deploy.report import Progress
from ign_deploy.repositories.backends.gitlab.api import Package, PackageFile
from ign_deploy.repositories.backends.gitlab.packages import PackageLocation, sha256_of
from ign_deploy.repositories.record import ReleaseFile
from tests.support.interleaving import Turns
from tests.support.turn_objects import BEGIN
from tests.support.turn_transfers import Transfer


@dataclass
class PackageState:
    """What all runs share: the files that can be seen, by number, and their bytes."""

    ids: dict[PackageLocation, int] = field(default_factory=dict)
    files: dict[int, tuple[PackageFile, bytes]] = field(default_factory=dict)
    last: int = 0


@dataclass
class _Sent:
    file: PackageFile
    ok: bool = True
    confirmed: bool = False

    def parse(self, _: object) -> PackageFile:
        return self.file


@dataclass
class TurnPackages:
    """One run's view; see ``gitlab.packages.Packages``."""

    turns: Turns
    state: PackageState
    transfer: Transfer = field(default_factory=Transfer)
    _seen: set[PackageLocation] = field(default_factory=set)

    @property
    def api(self) -> Any:
        return self

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.turns.clock)

    def find(self, package: str = "", version: str = "") -> list[Package]:
        self.turns.step(f"find {package} {version}")
        found = [
            (each, number)
            for each, number in self.state.ids.items()
            if package in {"", each.package} and version in {"", each.version}
        ]
        self._seen |= {each for each, _ in found}
        return [
            Package(id=number, name=each.package, version=each.version, package_type="generic")
            for each, number in found
        ]

    def known_id(self, location: PackageLocation) -> int | None:
        return self.state.ids.get(location)

    def files(self, location: PackageLocation) -> list[PackageFile]:
        return self.files_of_known(location) if self.find(*location) else []

    def files_of_known(self, location: PackageLocation) -> list[PackageFile]:
        if location not in self._seen:
            return self.files(location)
        self.turns.step(f"list {location.text}")
        return [file for file, _ in self._of(location)]

    def read_newest(self, location: PackageLocation, name: str, *, limit: int) -> bytes | None:
        self.turns.step(f"get {name} of {location.text}")
        found = [data for file, data in self._of(location) if file.file_name == name]
        return found[-1][:limit] if found else None

    def read(self, _: PackageLocation, file: PackageFile, *, limit: int) -> bytes | None:
        self.turns.step(f"get {file.file_name} by its number {file.id}")
        found = self.state.files.get(file.id)
        return None if found is None else found[1][:limit]

    def put(
        self,
        location: PackageLocation,
        name: str,
        data: bytes,
        *,
        confirm: Callable[[], bool] | None = None,
    ) -> _Sent:
        self.turns.step(f"put {name} of {location.text}")
        is_new = location not in self.state.ids
        number = self._number()
        package = self.state.ids.setdefault(location, number)
        file = PackageFile(
            id=number, package_id=package, file_name=name, size=len(data),
            file_sha256=sha256_of(data),
        )  # fmt: skip
        if not is_new:
            # It has its number, but is not to be seen yet.
            self.turns.step(f"the end of put {name} of {location.text}")
        self.state.files[number] = (file, data)
        return _Sent(file)

    def put_file(
        self,
        location: PackageLocation,
        file: ReleaseFile,
        *,
        source: Path,
        progress: Progress,
        confirm: Callable[[], bool],
    ) -> _Sent:
        self.transfer.run(self.turns, size=file.size, progress=progress)
        return self.put(location, file.name, source.read_bytes(), confirm=confirm)

    def remove(self, files: Iterable[PackageFile]) -> None:
        for file in files:
            self.turns.step(f"delete {file.file_name}, number {file.id}")
            self.state.files.pop(file.id, None)

    def _number(self) -> int:
        self.state.last += 1
        return self.state.last

    def _of(self, location: PackageLocation) -> list[tuple[PackageFile, bytes]]:
        package = self.state.ids.get(location)
        return [
            self.state.files[number]
            for number in sorted(self.state.files)
            if self.state.files[number][0].package_id == package
        ]
