"""Requests of a publication, by kind of store: with the probe, and each further one of a run."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measure import Row
from benchmarks.workspace import Workspace
from ign_deploy.repositories import Repository
from ign_deploy.repositories.access import WaitPolicy
from tests.contract.kinds import KINDS
from tests.contract.opened import EAGER, Opened
from tests.support.http_steps import count_requests
from tests.support.releases import release_of

# Goals for WebDAV, and for GitHub, where 100 jobs must stay below the 1,000 requests an hour that
# they have together; others need what their recipe needs. Of WebDAV's, five are the probe, and two
# read a claim back.
_GOALS = {"nginx": (20, 14), "apache": (20, 14), "github": (9, 8)}
_MODULE = "com.acme.thing"


def measure_requests(workspace: Workspace) -> list[Row]:
    """Count what a second run asks beside ten versions, for its first and its second version."""
    rows: list[Row] = []
    for name, kind in sorted(KINDS.items()):
        if not kind.is_http:
            continue
        with (
            tempfile.TemporaryDirectory(dir=workspace.folder) as folder,
            kind.open(Path(folder)) as store,
        ):
            first, further, listing = _count(store, Path(folder) / "in")
        most = _GOALS.get(name)
        rows.append(
            Row(
                f"requests into {name}: first, with the probe / further / listing",
                f"{first} / {further} / {listing}",
                f"{most[0]} / {most[1]} / 1" if most else "",
                holds=most is None or (first <= most[0] and further <= most[1] and listing == 1),
            )
        )
    return rows


def _count(store: Opened, folder: Path) -> tuple[int, int, int]:
    before = store.open(wait_policy=EAGER)
    for number in range(10):
        _publish(before, folder, f"1.0.{number}")
    # The least of some: Apache refuses the second of two MKCOL in two ways, and a probe needs one
    # more after the rarer one.
    first = 1000
    for number in range(3):
        # As in life: who waits for others for a moment only looks more often whether they came.
        repository = store.open(wait_policy=WaitPolicy())
        with count_requests() as steps:
            repository.check()
            _publish(repository, folder, f"1.0.{10 + number}")
        first = min(first, steps.count)
    with count_requests() as steps:
        repository.check()
        _publish(repository, folder, "1.1.1")
    further = steps.count
    reader = store.open(wait_policy=EAGER)
    with count_requests() as steps:
        assert len(reader.catalogue(_MODULE)) == 14
    # OCI logs in first, and reads a manifest and its blob.
    return first, further, steps.count


def _publish(repository: Repository, folder: Path, version: str) -> None:
    release, files = release_of(folder, version=version, content=version.encode())
    repository.publish(release, files=files)


if __name__ == "__main__":
    from benchmarks.measure import print_table

    with tempfile.TemporaryDirectory() as scratch:
        print_table(measure_requests(Workspace.open(Path(scratch))))
