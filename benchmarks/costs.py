"""Costs that must not grow with what is published: requests and bytes, counted, at a tenth."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.material import fill_repository
from benchmarks.measure import Row
from benchmarks.workspace import Workspace
from ign_deploy.report import SilentReporter
from ign_deploy.repositories import PublishOutcome, Repository
from ign_deploy.repositories.access import Access, WaitPolicy
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.backends.object_store import object_store
from ign_deploy.repositories.maintenance import StatusChange, remove, to_prune
from ign_deploy.repositories.repository import StoreRepository
from ign_deploy.repositories.search import ListFilter, list_modules
from tests.contract.opened import EAGER
from tests.support.http_steps import count_requests
from tests.support.interleaving import Turns, at_random
from tests.support.releases import release_of
from tests.support.servers import nginx, registry
from tests.support.turn_objects import TurnObjects

_VERSIONS = 250
_KEPT = 5
_TAGS = 200
_MODULES = 20
_MODULE = "com.example.pump"
_KILLED_AT = 4
"""The request that uploads the module, after the claim."""


def measure_costs(workspace: Workspace) -> list[Row]:
    """Count the requests of commands on large repositories."""
    with tempfile.TemporaryDirectory(dir=workspace.folder) as folder:
        path = Path(folder)
        return [
            _measure_prune(path / "nginx"),
            *_measure_registry(path / "registry"),
            _measure_takeover(path / "modules"),
        ]


def _measure_takeover(folder: Path) -> Row:
    """Publish other bytes after a job that was killed while it uploaded, by a clock of our own."""
    turns, objects = Turns(at_random(0), kills={"killed": _KILLED_AT}), dict[str, bytes]()
    wait_policy = WaitPolicy(sleep=turns.sleep, clock=lambda: turns.clock)

    def publish(content: bytes) -> PublishOutcome:
        store = object_store(TurnObjects(turns, objects), access=Access(wait_policy=wait_policy))
        repository = StoreRepository(store, reporter=SilentReporter())
        release, files = release_of(folder, content=content)
        return repository.publish(release, files=files).outcome

    turns.run({"killed": lambda: publish(b"killed")})
    assert [each for each in objects if "claim" in each], "it was killed too early, or too late"
    begin = turns.clock
    (outcome,) = turns.run({"other": lambda: publish(b"other")}).values()
    assert outcome is PublishOutcome.PUBLISHED
    seconds = turns.clock - begin
    return Row(
        "other bytes for a version whose job was killed: wait by the store's clock",
        f"{seconds:.0f} s",
        "180 s",
        seconds <= 180,
    )


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
        "3, and 25 in all",
        steps.count <= 3 * (_VERSIONS - _KEPT) + 25,
    )


def _measure_registry(folder: Path) -> list[Row]:
    """Publish beside few and many versions, list all of them, and rebuild the indexes."""
    (folder / "store").mkdir(parents=True)
    with registry(folder / "store") as server:
        host = urlsplit(server.url).netloc

        def opened(name: str) -> Repository:
            access = Access(wait_policy=EAGER)
            return open_repository(f"oci://{host}/benchmark/{name}", access=access)

        def publish(name: str, module_id: str, version: str) -> None:
            release, files = release_of(folder, module_id=module_id, version=version)
            opened(name).publish(release, files=files)

        for number in range(_TAGS):
            publish("many", f"com.example.m{number % _MODULES}", f"1.0.{number}")
        publish("few", "com.example.m0", "1.0.0")
        counts: dict[str, int] = {}
        for name in ("few", "many"):
            with count_requests() as steps:
                publish(name, "com.example.m0", "2.0.0")
            counts[name] = steps.count
        with count_requests() as listing:
            found = list_modules(opened("many"), ListFilter(every_version=True))
        assert len(found) == _TAGS + 1
        with count_requests() as reindexing:
            opened("many").maintenance.reindex()
    each = reindexing.count / (_TAGS + 1)
    return [
        Row(
            f"registry, publication beside {_TAGS} versions / beside 1: requests",
            f"{counts['many']} / {counts['few']}",
            "the same",
            counts["many"] <= counts["few"],
        ),
        Row(
            f"registry, list-modules --all-versions of {_MODULES} modules: requests a module",
            f"{listing.count / _MODULES:.2f}",
            "1, and 3 in all",
            listing.count <= _MODULES + 3,
        ),
        Row(
            f"registry, reindex of {_TAGS} versions: requests a version",
            f"{each:.2f}",
            "2",
            each <= 2,
        ),
    ]


if __name__ == "__main__":
    from benchmarks.measure import print_table

    with tempfile.TemporaryDirectory() as scratch:
        print_table(measure_costs(Workspace.open(Path(scratch))))
