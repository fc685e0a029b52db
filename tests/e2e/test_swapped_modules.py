"""A module is swapped at every moment of a deployment: only what was verified gets to a gateway."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from tests.support.cli import (
    ACCEPT,
    WITH_RESTART,
    CliWorkspace,
    GatewayCli,
    make_workspace,
    open_gateway_cli,
)
from tests.support.deployment_env import published_repository
from tests.support.gateway import ModuleFault, Options
from tests.support.gateway.client import MODULE_ID, attacker, modl
from tests.support.mapped_writer import mapped_writer
from tests.support.moments import Moments, watching

# More than a block, so that it can change between the readings of its parts.
LARGE = Random(1).randbytes(80_000)
OLD = "8.1.0"
"""What developer gateways need."""


def rename(path: Path, other: Path) -> None:
    copy = path.with_name(f".{secrets.token_hex(4)}")
    copy.write_bytes(other.read_bytes())
    copy.replace(path)


def rewrite(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def link(path: Path, other: Path) -> None:
    copy = path.with_name(f".{secrets.token_hex(4)}")
    copy.symlink_to(other)
    copy.replace(path)


def truncate(path: Path, _: Path) -> None:
    os.truncate(path, 100)


def write_through_memory(path: Path, other: Path) -> None:
    with mapped_writer(path, other) as writer:
        writer.write(0)


WAYS = [rename, rewrite, link, truncate, write_through_memory]
Prepare = Callable[[GatewayCli], tuple[str | Path, ...]]


def install_file(cli: GatewayCli) -> tuple[str | Path, ...]:
    file = next(cli.workspace.repository.rglob("*-1.0.0.modl"))
    return ("install", file, "--trust-anchor", "signing.cert.pem", *api(cli))


def install_published(cli: GatewayCli) -> tuple[str | Path, ...]:
    return ("install", f"{MODULE_ID}@1.0.0", *api(cli))


def install_into_a_folder(cli: GatewayCli) -> tuple[str | Path, ...]:
    folder = cli.workspace.folder / "gateway"
    folder.mkdir()
    there = ("--gateway", folder, "--gateway-manifest", folder / "modules.json")
    return ("install", f"{MODULE_ID}@1.0.0", *there, "-e", "production", *ACCEPT)


def install_by_the_servlet(cli: GatewayCli) -> tuple[str | Path, ...]:
    there = ("--gateway", f"developer+{cli.gateway.url}", "-e", "production", *ACCEPT)
    return ("install", f"{MODULE_ID}@1.0.0", *there)


def roll_back(cli: GatewayCli) -> tuple[str | Path, ...]:
    cli.install(f"{MODULE_ID}@1.0.0").must(0)
    cli.install(f"{MODULE_ID}@1.1.0").must(0)
    return ("rollback", "--restart", "if-needed", *api(cli)[:4])


def roll_back_by_itself(cli: GatewayCli) -> tuple[str | Path, ...]:
    cli.install(f"{MODULE_ID}@1.0.0").must(0)
    cli.gateway.options.faults[MODULE_ID] = ModuleFault(version="1.1.0")
    return ("install", f"{MODULE_ID}@1.1.0", *api(cli))


def promote(cli: GatewayCli) -> tuple[str | Path, ...]:
    cli.call("install", f"{MODULE_ID}@1.0.0", "-e", "test", "--track-only").must(0)
    there = ("--gateway", cli.gateway.url, *WITH_RESTART)
    return ("promote", "-e", "test", "--to", "production", *there)


def api(cli: GatewayCli) -> tuple[str | Path, ...]:
    return ("--gateway", cli.gateway.url, "-e", "production", *WITH_RESTART)


@dataclass(frozen=True)
class Stage:
    """Published modules, and what the attacker has: the same id and version, another signer."""

    repository: Path
    content: bytes
    evil: Path


def make_stage(folder: Path, requires: str) -> Stage:
    repository = published_repository(folder, "1.0.0", "1.1.0", requires=requires, large=LARGE)
    content = next(repository.rglob("*-1.0.0.modl")).read_bytes()
    evil = modl(folder / "evil", requires=requires, large=LARGE, identity=attacker())
    evil.write_bytes(evil.read_bytes().ljust(len(content), b"\0")[: len(content)])
    return Stage(repository, content, evil)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stage]:
    return {
        requires: make_stage(tmp_path_factory.mktemp("stage"), requires)
        for requires in (OLD, "8.3.0")
    }


@contextmanager
def gateway_cli(
    folder: Path, stage: Stage, *, old: bool, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatewayCli]:
    folder.mkdir()
    options = Options(version="8.1.44", developer_upload=True) if old else Options()
    workspace: CliWorkspace = make_workspace(folder)
    with (
        monkeypatch.context() as patch,
        open_gateway_cli(workspace, stage.repository, monkeypatch=patch, options=options) as cli,
    ):
        yield cli


def installed_by_the_attacker(cli: GatewayCli) -> list[object]:
    """Return what the gateway, or the folder of one, has of the attacker."""
    state = cli.gateway.state
    shown = [each.modl for each in state.listed.values()] + [
        each.modl for each in state.staged.values()
    ]
    found: list[object] = [
        each for each in (*shown, *state.uploads.values()) if "Attacker" in str(each.certificate)
    ]
    files = (cli.workspace.folder / "gateway").glob("*.modl")
    return [*found, *(each for each in files if b"Attacker" in each.read_bytes())]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "prepare",
    [
        install_file,
        install_published,
        install_into_a_folder,
        install_by_the_servlet,
        roll_back,
        roll_back_by_itself,
        promote,
    ],
)
def test_a_module_that_is_swapped_at_any_moment_reaches_no_gateway(
    stages: dict[str, Stage],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    prepare: Prepare,
    way: Callable[[Path, Path], None],
) -> None:
    old = prepare is install_by_the_servlet
    stage = stages[OLD if old else "8.3.0"]

    def run(number: int) -> list[str]:
        folder = tmp_path / f"moment-{number}"
        with gateway_cli(folder, stage, old=old, monkeypatch=monkeypatch) as cli:
            command = prepare(cli)
            moments = Moments(MODULE_ID, stage.content, lambda path: way(path, stage.evil), number)
            with watching(moments, monkeypatch):
                result = cli.call(*command)
            assert installed_by_the_attacker(cli) == [], (number, moments.seen, result)
            assert result.exit_code in (0, 5, 6, 7, 8), result
            assert "Traceback" not in result.stdout + result.stderr
            return moments.seen

    seen = run(-1)
    chosen = [number for number in range(len(seen)) if matters(seen, number, way)]
    assert len(chosen) > 3
    for number in chosen:
        run(number)


def matters(seen: list[str], number: int, way: Callable[[Path, Path], None]) -> bool:
    """Leave out most of the many readings of a block: a file that is replaced stays open."""
    if not seen[number].startswith("pread "):
        return True
    return way not in (rename, link) and (seen[number - 1].startswith("open ") or number % 8 == 0)
