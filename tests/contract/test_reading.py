"""What commands that only read leave in a store: nothing.

On a bucket with Object Lock whatever a probe writes stays for ever, and some may only read.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.opened import EAGER, Opened
from tests.support.cli import CliWorkspace, make_workspace
from tests.support.http_steps import count_requests
from tests.support.releases import release_of, tree

READING = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND"})
COMMANDS: dict[str, tuple[tuple[str, ...], int]] = {
    "list-modules": (("list-modules",), 0),
    "list-modules, all": (("list-modules", "--all-versions", "--include-yanked"), 0),
    "list-modules, none": (("list-modules", "--search", "no such"), 0),
    "download": (("download", "com.example.pump", "-o", "out"), 0),
    "download, missing": (("download", "com.example.none", "-o", "out"), 6),
    "status": (("status", "-e", "production"), 0),
    "status, unknown": (("status", "-e", "none"), 6),
    "history": (("history", "-e", "production"), 0),
    "history, unknown": (("history", "-e", "none"), 6),
    "prune": (("prune", "--keep", "1", "--dry-run"), 0),
    "yank": (("yank", "com.example.pump@1.2.3", "--reason", "x", "--dry-run"), 0),
    "remove": (("remove", "com.example.pump@1.2.3", "--reason", "x", "--dry-run"), 0),
    "plan": (("plan", "."), 0),
    "verify": (("verify", "signed/pump.modl"), 0),
    "inspect": (("inspect", "signed/pump.modl"), 0),
}
LOCAL = ("verify", "inspect")


@pytest.fixture
def workspace(tmp_path: Path) -> CliWorkspace:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return make_workspace(folder)


def environment(store: Opened) -> dict[str, str]:
    given = {
        "MODULE_REPOSITORY_URL": store.url,
        "REPOSITORY_API_TOKEN": store.token,
        "REPOSITORY_USERNAME": store.username,
        "REPOSITORY_PASSWORD": store.password,
    }
    return {**store.env, **{name: value for name, value in given.items() if value}}


def files_of(store: Opened) -> dict[str, bytes | None]:
    """Return the files of a folder, whose changes no request shows."""
    return {} if store.server else tree(Path(store.url.removeprefix("file://")))


def test_commands_that_read_write_nothing(store: Opened, workspace: CliWorkspace) -> None:
    env = environment(store)
    workspace.call("upload", workspace.signed(), env=env).must(0)
    track = ("install", "com.example.pump", "--track-only", "-e", "production")
    workspace.call(*track, env=env).must(0)
    before = files_of(store)
    written: dict[str, list[str]] = {}
    for name, (command, exit_code) in COMMANDS.items():
        with count_requests() as steps:
            workspace.call(*command, env=env).must(exit_code)
        written[name] = [method for method in steps.methods if method not in READING]
        assert store.server == "" or command[0] in LOCAL or steps.count
    assert written == {name: [] for name in COMMANDS}
    assert files_of(store) == before


def test_mirroring_writes_nothing_to_its_source(store: Opened, workspace: CliWorkspace) -> None:
    env = environment(store)
    workspace.call("upload", workspace.signed(), env=env).must(0)
    before = files_of(store)
    user = ("--source-username", store.username) if store.username else ()
    secrets = {"TOKEN": store.token, "PASSWORD": store.password}
    given = {f"IGN_DEPLOY_SOURCE_{name}": value for name, value in secrets.items() if value}
    command = ("mirror", store.url, *user, "--repository-url", "copy")
    with count_requests() as steps:
        workspace.call(*command, env={**store.env, **given}).must(0)
    assert [method for method in steps.methods if method not in READING] == []
    assert files_of(store) == before


def test_whether_a_repository_is_there_is_found_by_reading(store: Opened, tmp_path: Path) -> None:
    release, files = release_of(tmp_path)
    store.open(wait_policy=EAGER).publish(release, files=files)
    with count_requests() as steps:
        assert store.open().exists()
    assert set(steps.methods) <= READING
    assert bool(steps.count) is bool(store.server)
