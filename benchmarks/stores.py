"""Stores over the network: transfers, many small uploads, long lists, publishing to a large store.

The server is nginx on loopback; where latency matters, a proxy delays each message.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.distance import ROUND_TRIP, Distance, distance
from benchmarks.material import fill_repository, jar_bytes
from benchmarks.measure import Row, Run, in_turn, median, ratio, run
from benchmarks.publishing import signed_versions
from benchmarks.workspace import Workspace
from ign_deploy.repositories.backends import open_repository
from tests.support.servers import NginxServer, nginx

_LARGE = 300
_LARGE_ROUNDS = 7
_MODULES = 200
_MODULE_SIZE = 100_000
_WORKERS = 8
_MODULE_ROUNDS = 3
_FEW, _MANY = 10, 5000
_PUBLISH_ROUNDS = 7


def measure_stores(workspace: Workspace) -> list[Row]:
    """Measure everything against one nginx."""
    with ExitStack() as stack:
        server = stack.enter_context(nginx(workspace.folder / "nginx"))
        far = stack.enter_context(distance(server.url))
        return [
            *_measure_transfer(workspace, server),
            _measure_pooling(workspace, far),
            *_measure_many_versions(workspace, server, far),
        ]


def _measure_transfer(workspace: Workspace, server: NginxServer) -> list[Row]:
    """Compare the transfer of a large file with curl's, both without program startup."""
    path = workspace.folder / "large.bin"
    with path.open("wb") as stream:
        for _, data in zip(range(_LARGE), jar_bytes(), strict=False):
            stream.write(data)

    def curl() -> Run:
        command = ["curl", "-q", "-sSf", "--noproxy", "*", "-w", "%{time_total}"]
        command += ["-T", str(path), f"{server.url}/curl.bin"]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        return Run(float(done.stdout), 0.0, 0)

    files = [_file(path, f"{server.url}/ours.bin")]
    runs = in_turn({"ours": lambda: _send(workspace, files), "curl": curl}, rounds=_LARGE_ROUNDS)
    path.unlink()
    found = ratio(runs, "ours", "curl")
    scale = median(runs["curl"], lambda each: each.wall)
    peak = max(each.peak for each in runs["ours"]) / 1e6
    return [
        Row(f"curl -T of {_LARGE} MB (for scale)", f"{scale:.2f} s", "", holds=True),
        Row(f"upload {_LARGE} MB, hashed / curl -T", f"{found:.2f} x", "1.15 x", found <= 1.15),
        Row(f"peak memory, upload {_LARGE} MB", f"{peak:.1f} MB", "80 MB", peak < 80),
    ]


def _measure_pooling(workspace: Workspace, far: Distance) -> Row:
    """Upload many small files: each through a new session, and all through one with 8 workers."""
    folder = workspace.folder / "small"
    folder.mkdir()
    content = next(jar_bytes())
    files = []
    for number in range(_MODULES):
        path = folder / f"{number}.modl"
        path.write_bytes(b"%08d" % number + content[: _MODULE_SIZE - 8])
        files.append(_file(path, f"{far.url}/{path.name}"))
    runs = in_turn(
        {
            "alone": lambda: _send(workspace, files, pooled=False),
            "pooled": lambda: _send(workspace, files, workers=_WORKERS),
        },
        rounds=_MODULE_ROUNDS,
    )
    gain = ratio(runs, "alone", "pooled")
    slow, fast = (median(runs[name], lambda each: each.wall) for name in ("alone", "pooled"))
    return Row(
        f"{_MODULES} uploads at {ROUND_TRIP * 1000:.0f} ms, one at a time / {_WORKERS} pooled",
        f"{gain:.1f} x ({slow:.2f} s / {fast:.2f} s)",
        "15 x or more",
        gain >= 15,
    )


def _measure_many_versions(workspace: Workspace, server: NginxServer, far: Distance) -> list[Row]:
    """Publish in turn to a repository with few and with many versions; then list the many."""
    for versions in (_FEW, _MANY):
        root = server.root / str(versions)
        fill_repository(root, versions=versions)
        open_repository(f"{server.url}/{versions}").maintenance.reindex()
    rounds = _PUBLISH_ROUNDS + 1
    modules = iter(signed_versions(workspace, count=2 * rounds))
    counts: dict[int, list[int]] = {_FEW: [], _MANY: []}

    def publish(versions: int) -> Run:
        far.requests()
        url = f"{far.url}/{versions}"
        found = workspace.ign_deploy("upload", str(next(modules)), "--repository-url", url)
        counts[versions].append(far.requests())
        return found

    jobs = {str(each): partial(publish, each) for each in counts}
    runs = in_turn(jobs, rounds=_PUBLISH_ROUNDS)
    cost = ratio(runs, str(_MANY), str(_FEW))
    few, many = (statistics.median(counts[each]) for each in (_FEW, _MANY))
    far.requests()
    listed = len(open_repository(f"{far.url}/{_MANY}").catalogue("com.example.pump"))
    requests = far.requests()
    return [
        Row(
            f"requests of a publication with {_MANY:,} versions / with {_FEW}",
            f"{many:.0f} / {few:.0f}",
            "the same",
            many == few,
        ),
        Row(f"its time at {ROUND_TRIP * 1000:.0f} ms", f"{cost:.2f} x", "1.5 x", cost <= 1.5),
        Row(
            f"requests to list {listed:,} versions",
            str(requests),
            "1",
            requests <= 1 and listed == _MANY + rounds,
        ),
    ]


def _file(path: Path, url: str) -> list[Any]:
    data = path.read_bytes()
    return [url, str(path), len(data), hashlib.sha256(data).hexdigest()]


def _send(
    workspace: Workspace, files: Sequence[list[Any]], *, workers: int = 1, pooled: bool = True
) -> Run:
    """Upload in a separate process; the wall time is that of the transfers."""
    target = workspace.folder / "sent.json"
    order = {"files": files, "workers": workers, "pooled": pooled, "result": str(target)}
    source = str(Path(__file__).parents[1])
    command = [sys.executable, "-m", "benchmarks.sender", json.dumps(order)]
    found = run(command, env={**workspace.env, "PYTHONPATH": source}, cwd=workspace.folder)
    result = json.loads(target.read_text())
    return Run(result["seconds"], found.cpu, result["peak"])
