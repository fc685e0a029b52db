"""Twenty modules in one batch, compared with the same modules one at a time."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.material import jar_bytes
from benchmarks.measure import Row, Run, in_turn, median, ratio
from benchmarks.workspace import Workspace
from tests.support.modules import HOOK, build_module, jar

_MODULES = 20
_MEBIBYTES = 3
_ROUNDS = 5
_GAIN = 1.6


def measure_batch(workspace: Workspace) -> list[Row]:
    """Release 20 prebuilt modules of a few megabytes: one at a time, and in batches of 1 and 2."""
    modules = [_module(workspace.folder / "batch", number) for number in range(_MODULES)]

    def batch(workers: int) -> Run:
        _clean(workspace)
        paths = [str(path) for path in modules]
        return _release(workspace, "batch", *paths, "--max-parallel", str(workers))

    def one_by_one() -> Run:
        _clean(workspace)
        runs = [_release(workspace, "module", str(path)) for path in modules]
        return Run(
            sum(run.wall for run in runs),
            sum(run.cpu for run in runs),
            max(run.peak for run in runs),
        )

    jobs = {"module": one_by_one, "batch 2": lambda: batch(2), "batch 1": lambda: batch(1)}
    runs = in_turn(jobs, rounds=_ROUNDS)
    gain = ratio(runs, "module", "batch 2")
    alone, together = (median(runs[name], lambda run: run.wall) for name in ("batch 1", "batch 2"))
    return [
        Row(
            f"{_MODULES} modules one at a time / in a batch",
            f"{gain:.2f} x",
            f"{_GAIN} x or more",
            gain >= _GAIN,
        ),
        Row(
            "batch of 20, --max-parallel 1 and 2 (for scale)",
            f"{alone:.2f} s, {together:.2f} s",
            "",
            holds=True,
        ),
    ]


def _module(folder: Path, number: int) -> Path:
    """Write an unsigned module with its own id and one jar of some mebibytes."""
    content = jar_bytes()
    data = {f"data/{part}.bin": next(content) for part in range(_MEBIBYTES)}
    library = jar(HOOK, files=data, manifest={"Implementation-Version": "1.2.3"})
    return build_module(
        folder / f"m{number:02}.unsigned.modl",
        texts={"id": f"com.example.m{number:02}"},
        files={"pump.jar": library},
    )


def _clean(workspace: Workspace) -> None:
    for name in ("dist", "batch-repository"):
        shutil.rmtree(workspace.folder / name, ignore_errors=True)


def _release(workspace: Workspace, *arguments: str) -> Run:
    home = workspace.folder / "rsa2048"
    return workspace.ign_deploy(
        *arguments,
        *("--key-path", str(home / "signing.key.pem")),
        *("--cert-path", str(home / "signing.cert.pem")),
        *("--repository-url", "batch-repository"),
    )
