"""Transfers of a large file whose connection breaks six times, each time after progress.

``python -m benchmarks.breaks 2000`` measures with that many megabytes.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Row
from benchmarks.workspace import Workspace
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.record import Release, make_release
from tests.contract.kinds import KINDS
from tests.support.fault_proxy import fault_proxy
from tests.support.faults import CutAnswer, CutRequest
from tests.support.releases import release_fields

_SIZE = 200
_BREAKS = 6
_MEGABYTE = 1_000_000


class _Moved:
    """Counts what was transferred, also in attempts that failed."""

    total = 0

    def __call__(self, advance: int) -> None:
        self.total += max(0, advance)


def measure_breaks(workspace: Workspace, size: int = _SIZE) -> list[Row]:
    """Publish to S3 and to a registry, and download from a web server, with so many megabytes."""
    with tempfile.TemporaryDirectory(dir=workspace.folder) as folder:
        path = Path(folder) / "large.modl"
        with path.open("wb") as stream:
            for _ in range(size):
                stream.write(os.urandom(_MEGABYTE))
        return [
            _measure_download(Path(folder), path),
            _measure_upload("s3", Path(folder), path, r"partNumber={}(&|$)", 1.5),
            # Distribution's registry forgets what it has of an upload that broke off.
            _measure_upload("oci", Path(folder), path, r"/blobs/uploads/", 5.0),
        ]


def _measure_download(folder: Path, path: Path) -> Row:
    with KINDS["nginx"].open(folder / "nginx") as store, fault_proxy(store.server) as proxy:
        release = _release(path)
        store.open(wait_policy=WaitPolicy()).publish(release, files=_files(release, path))
        part = path.stat().st_size // (_BREAKS + 2)
        rule = proxy.rules.add(CutAnswer(part), method="GET", path=r"\.modl$", times=_BREAKS)
        repository, moved = store.through(proxy.url).open(), _Moved()
        with (folder / "back.modl").open("w+b") as stream:
            repository.fetch(release.id, version=release.version, to=stream, progress=moved)
        assert rule.hits == _BREAKS
    return _row("nginx, download", path, moved, 1.05)


def _measure_upload(name: str, folder: Path, path: Path, where: str, limit: float) -> Row:
    size = path.stat().st_size
    with KINDS[name].open(folder / name) as store, fault_proxy(store.server) as proxy:
        release, moved = _release(path), _Moved()
        rules = [
            proxy.rules.add(
                CutRequest(8 * _MEGABYTE if name == "s3" else number * size // (_BREAKS + 1)),
                path=where.format(number), header=r"content-length: [0-9]{7,}",
            )
            for number in range(1, _BREAKS + 1)
        ]  # fmt: skip
        repository = store.through(proxy.url).open(wait_policy=WaitPolicy())
        repository.publish(release, files=_files(release, path), progress=moved)
        assert sum(rule.hits for rule in rules) == _BREAKS
        with open(os.devnull, "wb") as nowhere:  # compared with the record
            store.open().fetch(release.id, version=release.version, to=nowhere)
    return _row(f"{name}, upload", path, moved, limit)


def _release(path: Path) -> Release:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    fields = release_fields(module_id="com.example.pump")
    fields["files"][0] |= {"sha256": digest, "size": path.stat().st_size}
    return make_release(**fields)


def _files(release: Release, path: Path) -> dict[str, Path]:
    return {release.module_file.name: path}


def _row(what: str, path: Path, moved: _Moved, limit: float) -> Row:
    size = path.stat().st_size
    found = moved.total / size
    return Row(
        f"{what} of {size // _MEGABYTE:,} MB with {_BREAKS} breaks: bytes / size",
        f"{found:.2f} x", f"{limit:.2f} x", found <= limit,
    )  # fmt: skip


if __name__ == "__main__":
    from benchmarks.measure import print_table

    with tempfile.TemporaryDirectory() as scratch:
        opened = Workspace.open(Path(scratch))
        print_table(measure_breaks(opened, int(sys.argv[1]) if sys.argv[1:] else _SIZE))
