"""Files of a release that are swapped between two stages: nothing of them is published."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ign_deploy.module.stable_file import WrittenFile
from ign_deploy.pipeline.run_report import RunReport
from tests.support.cli import MODULE, CliWorkspace
from tests.support.gateway.client import attacker
from tests.support.modules import build_module
from tests.support.signing import signed_module

SIGNED = "dist/pump.modl"
BUNDLE = "dist/com.example.pump-1.2.3.zip"


def rename(other: Path, target: Path) -> None:
    other.replace(target)


def rewrite(other: Path, target: Path) -> None:
    target.write_bytes(other.read_bytes())


def link(other: Path, target: Path) -> None:
    target.unlink()
    target.symlink_to(other)


def truncate(_: Path, target: Path) -> None:
    target.write_bytes(b"")


def swap_before(stage: str, swap: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Swap when the stage begins; returns the stages in which that was done."""
    original, swapped = RunReport.stage, []

    @contextmanager
    def stage_with_swap(report: RunReport, name: str) -> Iterator[None]:
        if name == stage:
            swap()
            swapped.append(name)
        with original(report, name):
            yield

    monkeypatch.setattr(RunReport, "stage", stage_with_swap)
    return swapped


def others(folder: Path) -> dict[str, Path]:
    """Make what an attacker puts in place of each file: the descriptor is the same."""
    unsigned = build_module(folder / "evil.unsigned.modl", files={"doc/index.html": b"evil"})
    signed = signed_module(unsigned, output_dir=folder, identity=attacker()).path
    bundle = shutil.copy(unsigned, folder / "evil.zip")
    return {MODULE: unsigned, SIGNED: signed, BUNDLE: Path(bundle)}


@pytest.mark.parametrize("way", [rename, rewrite, link, truncate])
@pytest.mark.parametrize(
    ("stage", "file"),
    [
        ("validate", MODULE),
        ("sign", MODULE),
        ("verify", SIGNED),
        ("bundle", SIGNED),
        ("upload", SIGNED),
        ("upload", BUNDLE),
    ],
)
def test_a_file_that_is_swapped_between_two_stages_is_not_published(
    workspace: CliWorkspace,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    *,
    stage: str,
    file: str,
    way: Callable[[Path, Path], None],
) -> None:
    other = others(tmp_path_factory.mktemp("evil"))[file]
    swapped = swap_before(stage, lambda: way(other, workspace.folder / file), monkeypatch)
    result = workspace.release("--format", "both")
    assert swapped == [stage]
    assert result.exit_code in (4, 5, 6), result.stderr
    assert "Traceback" not in result.stderr
    assert not list(workspace.folder.rglob("release.json"))
    assert not list(workspace.folder.rglob("*.partial"))


@pytest.mark.parametrize("way", [rename, rewrite])
def test_a_signed_file_that_is_swapped_after_its_content_was_checked_is_not_uploaded(
    workspace: CliWorkspace,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[Path, Path], None],
) -> None:
    import ign_deploy.pipeline.verify as stage

    signed, other = workspace.signed(), others(tmp_path_factory.mktemp("evil"))[SIGNED]
    validate = stage.validate

    def validate_then_swap(path: Path, **options: object) -> object:
        checked = validate(path, **options)  # type: ignore[arg-type]  # passed on
        way(other, path)
        return checked

    monkeypatch.setattr(stage, "validate", validate_then_swap)
    result = workspace.call("upload", signed).must(5)
    assert "changed while it was being checked" in result.stderr
    assert not list(workspace.folder.rglob("release.json"))


@pytest.mark.parametrize("suffix", [".modl", ".zip"])
def test_an_output_that_changes_before_it_is_hashed_is_not_published(
    workspace: CliWorkspace,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
) -> None:
    """Anybody's module is signed, and nothing is checked in a bundle once it is written."""
    evil = others(tmp_path_factory.mktemp("evil"))[SIGNED if suffix == ".modl" else BUNDLE]
    swapped: list[Path] = []
    digest = WrittenFile.digest

    def swap_then_digest(file: WrittenFile) -> tuple[str, int]:
        for path in (workspace.folder / "dist").glob(f".*{suffix}.*.partial"):
            swapped.append(path)
            rewrite(evil, path)
        return digest(file)

    monkeypatch.setattr(WrittenFile, "digest", swap_then_digest)
    result = workspace.release("--format", "both").must(5)
    assert len(swapped) == 1
    assert "changed while it was being written" in result.stderr
    assert not list(workspace.folder.rglob("release.json"))
