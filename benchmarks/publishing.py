"""What an upload costs beside few and beside many published versions."""

from __future__ import annotations

from pathlib import Path

from benchmarks.material import fill_repository
from benchmarks.measure import Row, Run, in_turn, ratio
from benchmarks.workshop import Workshop
from tests.support.modules import build_module

_ROUNDS = 15


def measure_uploads(workshop: Workshop) -> list[Row]:
    """Upload new versions in turn into a repository with 10 versions and into one with 10,000."""
    roots = {"10": workshop.folder / "few", "10,000": workshop.folder / "many"}
    for name, root in roots.items():
        fill_repository(root, versions=int(name.replace(",", "")))
    modules = iter(signed_versions(workshop, count=2 * (_ROUNDS + 1)))

    def upload(root: Path) -> Run:
        return workshop.ign_deploy("upload", str(next(modules)), "--repository-url", str(root))

    runs = in_turn(
        {name: lambda root=root: upload(root) for name, root in roots.items()},  # type: ignore[misc]
        rounds=_ROUNDS,
    )
    cost = ratio(runs, "10,000", "10")
    return [Row("upload beside 10,000 versions / beside 10", f"{cost:.2f} x", "1.5 x", cost <= 1.5)]


def signed_versions(workshop: Workshop, *, count: int) -> list[Path]:
    """Sign that many versions of one small module."""
    signed: list[Path] = []
    for number in range(count):
        path = workshop.folder / "versions" / f"pump-{number}.unsigned.modl"
        build_module(path, texts={"version": f"1.0.{number}"})
        workshop.sign(path)
        target = path.with_name(f"pump-{number}.modl")
        (workshop.folder / "dist" / target.name).rename(target)
        signed.append(target)
    return signed
