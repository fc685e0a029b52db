"""The cost of an upload with few and with many published versions."""

from __future__ import annotations

from pathlib import Path

from benchmarks.material import fill_repository
from benchmarks.measure import Row, Run, in_turn, ratio
from benchmarks.workspace import Workspace
from tests.support.modules import build_module

_ROUNDS = 15


def measure_uploads(workspace: Workspace) -> list[Row]:
    """Upload new versions, in turn, to a repository with 10 versions and to one with 10,000."""
    roots = {"10": workspace.folder / "few", "10,000": workspace.folder / "many"}
    for name, root in roots.items():
        fill_repository(root, versions=int(name.replace(",", "")))
    modules = iter(signed_versions(workspace, count=2 * (_ROUNDS + 1)))

    def upload(root: Path) -> Run:
        return workspace.ign_deploy("upload", str(next(modules)), "--repository-url", str(root))

    runs = in_turn(
        {name: lambda root=root: upload(root) for name, root in roots.items()},  # type: ignore[misc]
        rounds=_ROUNDS,
    )
    cost = ratio(runs, "10,000", "10")
    return [Row("upload with 10,000 versions / with 10", f"{cost:.2f} x", "1.5 x", cost <= 1.5)]


def signed_versions(workspace: Workspace, *, count: int, requires: str = "8.1.0") -> list[Path]:
    """Sign this many versions of one small module, for that Ignition."""
    signed: list[Path] = []
    for number in range(count):
        path = workspace.folder / "versions" / f"pump-{number}.unsigned.modl"
        build_module(path, texts={"version": f"1.0.{number}", "requiredIgnitionVersion": requires})
        workspace.sign(path)
        target = path.with_name(f"pump-{number}.modl")
        (workspace.folder / "dist" / target.name).rename(target)
        signed.append(target)
    return signed
