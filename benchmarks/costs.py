"""Costs that must not grow with what is published: requests and bytes, counted, at a tenth."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.material import fill_repository
from benchmarks.measure import Row
from benchmarks.workspace import Workspace
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.maintenance import StatusChange, remove, to_prune
from tests.support.http_steps import count_requests
from tests.support.servers import nginx

_VERSIONS = 250
_KEPT = 5
_MODULE = "com.example.pump"


def measure_costs(workspace: Workspace) -> list[Row]:
    """Count the requests of commands on large repositories."""
    with tempfile.TemporaryDirectory(dir=workspace.folder) as folder:
        return [_measure_prune(Path(folder))]


def _measure_prune(folder: Path) -> Row:
    """Count the requests of a prune for each version that it removes."""
    with nginx(folder) as server:
        fill_repository(server.root / "store", versions=_VERSIONS)
        repository = open_repository(f"{server.url}/store")
        repository.maintenance.reindex()
        with count_requests() as steps:
            old = to_prune(repository, keep=_KEPT, protected=())
            releases = [repository.fetch(each.id, version=each.version) for each in old]
            remove(repository, *releases, change=StatusChange("benchmark", datetime.now(UTC)))
        assert len(repository.catalogue(_MODULE)) == _KEPT
    each = steps.count / (_VERSIONS - _KEPT)
    return Row(
        f"nginx, prune --keep {_KEPT} of {_VERSIONS} versions: requests a removed version",
        f"{each:.2f}",
        "3, and 40 in all",
        steps.count <= 3 * (_VERSIONS - _KEPT) + 40,
    )


if __name__ == "__main__":
    from benchmarks.measure import print_table

    with tempfile.TemporaryDirectory() as scratch:
        print_table(measure_costs(Workspace.open(Path(scratch))))
