"""A version that is built and released again: its content counts, not how it was packed."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.pipeline.transfer import download_module
from tests.support.cli import KEY, MODULE, CliWorkspace, Result
from tests.support.identities import pem_files, self_signed
from tests.support.modules import jar
from tests.support.releases import tree
from tests.support.repacked import rebuild

ID = "com.example.pump"
PUBLISHED = f"{ID}-1.2.3.modl"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def published(workspace: CliWorkspace) -> str:
    """The SHA-256 of the module of the workspace, which is published, and then built again."""
    workspace.release().must(0)
    digest = sha256(workspace.folder / "dist/pump.modl")
    rebuild(workspace.folder / MODULE)
    return digest


def test_a_second_build_is_unchanged_and_the_published_file_counts(
    workspace: CliWorkspace, published: str
) -> None:
    before = tree(workspace.repository)
    again = workspace.release("--json").must(0)
    assert again.document["result"] == "unchanged"
    (module,) = again.document["modules"]
    assert (module["result"], module["sha256"]) == ("unchanged", published)
    assert module["file"] == f"dist/{PUBLISHED}"
    assert sha256(workspace.folder / "dist" / PUBLISHED) == published
    assert sha256(workspace.folder / "dist/pump.modl") != published, "it was packed otherwise"
    assert f"{ID} 1.2.3 is published with the same content" in again.stderr
    assert tree(workspace.repository) == before


def test_what_is_deployed_is_the_published_file(workspace: CliWorkspace, published: str) -> None:
    gateway = workspace.folder / "modules"
    gateway.mkdir()
    options = ("--gateway", gateway, "-e", "plant", "--accept-certificate", "yes")
    workspace.release(*options).must(0)
    (installed,) = gateway.glob("*.modl")
    assert sha256(installed) == published
    state = workspace.call("status", "-e", "plant", "--json").must(0).document
    assert [each["sha256"] for each in state["deployed"]] == [published]


def test_the_bundle_has_the_published_file(workspace: CliWorkspace, published: str) -> None:
    again = workspace.release("--format", "both", "--json").must(0)
    (module,) = again.document["modules"]
    bundle = workspace.folder / module["bundle"]
    with zipfile.ZipFile(bundle) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".modl"))
        assert hashlib.sha256(archive.read(name)).hexdigest() == published


def test_a_batch_and_an_upload_do_the_same(workspace: CliWorkspace, published: str) -> None:
    batch = workspace.call("batch", MODULE, *KEY, "--json").must(0).document
    assert batch["result"] == "unchanged"
    assert [each["sha256"] for each in batch["modules"]] == [published]
    upload = workspace.call("upload", "dist/pump.modl", "--json").must(0).document
    assert upload["result"] == "unchanged"
    assert [each["sha256"] for each in upload["release"]["files"]] == [published]


def test_other_content_is_a_conflict_that_says_what_differs(
    workspace: CliWorkspace, published: str
) -> None:
    other = jar("com.example.GatewayHook", manifest={"Build-Time": "now"})
    rebuild(workspace.folder / MODULE, files={"pump.jar": other, "doc/index.html": b"<p>"})
    before = tree(workspace.repository)
    refused = workspace.release().must(6)
    assert "'doc/index.html', 'pump.jar!/META-INF/MANIFEST.MF'" in refused.stderr
    assert "raise the module's version" in refused.stderr
    assert tree(workspace.repository) == before
    assert not (workspace.folder / "dist" / PUBLISHED).exists()
    assert published


def test_another_signer_is_a_conflict(workspace: CliWorkspace, published: str) -> None:
    key, certificate = self_signed("Another Vendor")
    pem_files(workspace.folder, key, (certificate,))
    refused = workspace.release().must(6)
    assert "already published with other bytes" in refused.stderr
    assert not (workspace.folder / "dist" / PUBLISHED).exists()
    assert published


def test_a_removed_version_stays_removed(workspace: CliWorkspace, published: str) -> None:
    version = f"{ID}@1.2.3"
    workspace.call("remove", version, "--confirm", version, "--reason", "x").must(0)
    assert workspace.release().exit_code == 6
    assert published


def test_a_version_that_must_be_unpublished_is_a_conflict(
    workspace: CliWorkspace, published: str
) -> None:
    workspace.release("--require-unpublished").must(6)
    assert published


def test_a_signed_file_of_the_user_is_never_replaced(
    workspace: CliWorkspace, published: str
) -> None:
    workspace.call("sign", MODULE, *KEY, "-o", "signed").must(0)
    mine = workspace.folder / "dist" / PUBLISHED
    (workspace.folder / "signed/pump.modl").rename(mine)
    before = sha256(mine)
    workspace.call("module", mine, "--skip-signing").must(6)
    assert sha256(mine) == before != published


def test_what_is_used_is_what_was_compared(
    workspace: CliWorkspace, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repository has another file of the same signer by the time of the second download."""
    ours = (workspace.folder / MODULE).read_bytes()
    rebuild(workspace.folder / MODULE, files={"doc/index.html": b"<p>"})
    workspace.run("module", MODULE, *KEY, "--repository-url", "other").must(0)
    (workspace.folder / MODULE).write_bytes(ours)

    def swapping(*arguments: Any, **options: Any) -> VerifiedModule:
        found = download_module(*arguments, **options)
        shutil.rmtree(workspace.repository)
        shutil.copytree(workspace.folder / "other", workspace.repository)
        return found

    monkeypatch.setattr("ign_deploy.pipeline.transfer.download_module", swapping)
    refused = workspace.call("module", MODULE, *KEY)
    assert refused.exit_code == 5, refused.stderr
    assert not (workspace.folder / "dist" / PUBLISHED).exists()
    assert published


@pytest.fixture
def target(workspace: CliWorkspace, published: str) -> str:
    """Another repository, which has the module as it was built again."""
    workspace.run("module", MODULE, *KEY, "--repository-url", "other").must(0)
    assert published
    return "other"


def mirrored(workspace: CliWorkspace, target: str) -> Result:
    return workspace.call("mirror", workspace.repository, "--repository-url", target, "--json")


def test_a_mirror_leaves_the_same_content_as_it_is(
    workspace: CliWorkspace, target: str, published: str
) -> None:
    before = tree(workspace.folder / target)
    (version,) = mirrored(workspace, target).must(0).document["versions"]
    assert version["result"] == "already-published"
    assert version["sha256"] != published, "the target's file counts"
    assert tree(workspace.folder / target) == before


def test_a_yank_of_the_same_content_is_reported_by_a_mirror(
    workspace: CliWorkspace, target: str
) -> None:
    workspace.call("yank", f"{ID}@1.2.3", "--reason", "bad").must(0)
    before = tree(workspace.folder / target)
    command = ("mirror", workspace.repository, f"{ID}@1.2.3", "--repository-url", target)
    assert f"ign-deploy yank {ID}@1.2.3" in workspace.call(*command).must(0).stderr
    assert tree(workspace.folder / target) == before


def test_other_content_is_a_conflict_for_a_mirror(workspace: CliWorkspace, published: str) -> None:
    rebuild(workspace.folder / MODULE, files={"doc/index.html": b"<p>"})
    workspace.run("module", MODULE, *KEY, "--repository-url", "other").must(0)
    before = tree(workspace.folder / "other")
    refused = mirrored(workspace, "other").must(6)
    assert "'doc/index.html'" in refused.stderr
    assert tree(workspace.folder / "other") == before
    assert published


def test_another_signer_is_a_conflict_for_a_mirror(workspace: CliWorkspace, published: str) -> None:
    key, certificate = self_signed("Another Vendor")
    pem_files(workspace.folder, key, (certificate,))
    workspace.run("module", MODULE, *KEY, "--repository-url", "other").must(0)
    refused = mirrored(workspace, "other").must(6)
    assert "already published with other bytes" in refused.stderr
    assert published
