"""The commands in rendered files are run for real, against a repository that is a folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ign_deploy.render import KINDS, RenderedModule, RenderKind
from ign_deploy.render.fetching import FOLDER, REPOSITORY_MOUNT
from tests.support.cli import CliWorkspace, make_workspace
from tests.support.releases import tree
from tests.support.rendering import fetch_commands, gateway_files, rendered


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> CliWorkspace:
    workspace = make_workspace(tmp_path_factory.mktemp("workspace"))
    workspace.release().must(0)
    return workspace


def published(workspace: CliWorkspace) -> RenderedModule:
    (record,) = workspace.repository.glob("modules/*/*/release.json")
    release = json.loads(record.read_text("utf-8"))
    (file,) = (each for each in release["files"] if each["role"] == "module")
    return RenderedModule(
        id=release["id"],
        version=release["version"],
        file_name=file["name"],
        sha256=file["sha256"],
        size=file["size"],
        certificate_sha1=release["certificate"]["sha1"],
        certificate_sha256=release["certificate"]["sha256"],
        licence_crc=release["licence_crc"],
    )


def command_in(
    kind: RenderKind, module: RenderedModule, *, repository: Path, volume: Path
) -> list[str]:
    """Return the arguments as the container would have them, its mounts being these folders."""
    result = rendered(
        kind,
        module,
        repository_url=str(repository),
        repository_claim="modules",
        accept_certificates=(module.certificate_sha1,),
        accept_licenses=(),
    )
    ((program, *arguments),) = fetch_commands(kind, result)
    assert program == "ign-deploy"
    folders = {REPOSITORY_MOUNT: str(repository), f"{FOLDER}/{module.id}": str(volume / module.id)}
    return [folders.get(each, each) for each in arguments]


@pytest.mark.parametrize("kind", KINDS)
def test_command_leaves_the_file_where_the_gateway_mounts_it(
    workspace: CliWorkspace, tmp_path: Path, kind: RenderKind
) -> None:
    module = published(workspace)
    before = tree(workspace.repository)
    arguments = command_in(kind, module, repository=workspace.repository, volume=tmp_path)
    workspace.call(*arguments).must(0)
    workspace.call(*arguments).must(0)  # a container that is started again

    result = rendered(kind, module, accept_certificates=(), accept_licenses=())
    ((target, subpath),) = gateway_files(kind, result).items()
    assert target.endswith(f"/user-lib/modules/{module.id}.modl")
    assert hashlib.sha256((tmp_path / subpath).read_bytes()).hexdigest() == module.sha256
    assert [*tmp_path.rglob("*.partial")] == []
    assert tree(workspace.repository) == before


def test_version_that_is_not_there_keeps_the_gateway_from_starting(
    workspace: CliWorkspace, tmp_path: Path
) -> None:
    module = published(workspace)
    arguments = command_in(
        "compose", module, repository=workspace.repository, volume=tmp_path / "modules"
    )
    arguments[arguments.index("--version") + 1] = "99.0.0"
    workspace.call(*arguments).must(6)
    assert not (tmp_path / "modules").exists()


def test_other_bytes_than_the_rendered_ones_keep_the_gateway_from_starting(
    workspace: CliWorkspace, tmp_path: Path
) -> None:
    module = replace(published(workspace), sha256="0" * 64)
    arguments = command_in("kubernetes", module, repository=workspace.repository, volume=tmp_path)
    workspace.call(*arguments).must(5)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
