"""list-modules --all-versions: requests, pooling, when its first line comes, and its memory.

``python -m benchmarks.listing 50000`` measures with that many versions, a hundred of each module.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.distance import ROUND_TRIP, distance
from benchmarks.material import fill_repository
from benchmarks.measure import Row
from benchmarks.workspace import Workspace
from tests.support.servers import nginx

_VERSIONS = 5000
_EACH = 100
_ROUNDS = 3


def measure_listing(workspace: Workspace, versions: int = _VERSIONS) -> list[Row]:
    """Measure in a folder, and over a network, where the requests are counted, too."""
    modules = versions // _EACH
    with ExitStack() as stack:
        server = stack.enter_context(nginx(workspace.folder / "listing-nginx"))
        far = stack.enter_context(distance(server.url))
        root = server.root / "store"
        for number in range(modules):
            fill_repository(root, versions=_EACH, module_id=f"com.example.m{number}")
        workspace.ign_deploy("reindex", "--repository-url", str(root))
        here = [_first_line(workspace, str(root), versions) for _ in range(_ROUNDS)]
        near = [_first_line(workspace, f"{server.url}/store", versions) for _ in range(_ROUNDS)]
        there = []
        for _ in range(_ROUNDS):
            far.requests()
            there.append(_first_line(workspace, f"{far.url}/store", versions))
            requests = far.requests()
        newest = workspace.ign_deploy("list-modules", "--repository-url", f"{far.url}/store")
        everything = workspace.ign_deploy(
            "list-modules", "--all-versions", "--json", "--repository-url", f"{far.url}/store"
        )
    first, whole = map(statistics.median, zip(*here, strict=True))
    pooled = statistics.median(end for _, end in there) - statistics.median(end for _, end in near)
    serial = modules * ROUND_TRIP
    memory = everything.peak / newest.peak
    title = f"list-modules --all-versions of {versions:,} in {modules} modules"
    return [
        Row(
            f"{title}, folder: its first line after / all of it",
            f"{first / whole:.2f} x ({whole:.2f} s)", "0.8 x", first / whole <= 0.8,
        ),
        Row(f"{title}, nginx: requests", f"{requests}", f"{modules + 3}", requests <= modules + 3),
        Row(
            f"{title}, nginx: what a round trip of "
            f"{ROUND_TRIP * 1000:.0f} ms adds / adds one by one",
            f"{pooled / serial:.2f} x ({pooled:.2f} s)", "0.5 x", pooled / serial <= 0.5,
        ),
        Row(
            f"{title}, --json: peak memory / of the newest alone",
            f"{memory:.2f} x ({everything.peak / 1e6:.0f} MB)", "1.2 x", memory <= 1.2,
        ),
    ]  # fmt: skip


def _first_line(workspace: Workspace, url: str, versions: int) -> tuple[float, float]:
    """Return after how many seconds the first and the last line came."""
    command = Path(sys.executable).with_name("ign-deploy")
    began = time.perf_counter()
    with subprocess.Popen(
        [command, "list-modules", "--all-versions", "--repository-url", url],
        stdout=subprocess.PIPE, env=workspace.env, cwd=workspace.folder,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        child.stdout.readline()
        first = time.perf_counter() - began
        assert len(child.stdout.readlines()) == versions
    return first, time.perf_counter() - began


if __name__ == "__main__":
    from benchmarks.measure import print_table

    with tempfile.TemporaryDirectory() as scratch:
        opened = Workspace.open(Path(scratch))
        print_table(measure_listing(opened, int(sys.argv[1]) if sys.argv[1:] else _VERSIONS))
