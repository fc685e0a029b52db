"""What reaches a gateway are the bytes that were verified, read while they are sent."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from ign_deploy.deployment.gateway import Consent, Target, open_target
from ign_deploy.deployment.gateway.developer import DeveloperGateway
from ign_deploy.deployment.gateway.folder import FolderTarget
from ign_deploy.errors import DeploymentError
from ign_deploy.files import open_regular
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.net import upload as net_upload
from ign_deploy.report import SilentReporter
from tests.support.gateway import Gateway, Options, running_gateway
from tests.support.gateway.client import MODULE_ID, client_of, modl, retry_of, verified
from tests.support.releases import tree
from tests.support.serving import Fault

SIZE = 24 << 20


def test_an_upload_needs_little_memory_and_reports_progress(
    gateway: Gateway, tmp_path: Path
) -> None:
    path = modl(tmp_path, license_text=None, large=Random(1).randbytes(SIZE))
    module = verified(path)
    reported: list[int] = []

    def progress(advance: int) -> None:
        reported.append(advance)

    client = client_of(gateway)
    client.upload(module, file_name="pump.modl")
    tracemalloc.start()
    try:
        upload = client.upload(module, file_name="pump.modl", progress=progress)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert upload.module_id == MODULE_ID
    assert sum(reported) == path.stat().st_size > SIZE
    assert peak < SIZE / 3
    sent = gateway.matching("modules/upload")[-1]
    assert sent.headers["Content-Length"] == str(path.stat().st_size)


# Before it is sent, the file of a verified module becomes that of another one.

EVIL = "6.6.6"


def rename_over(path: Path, other: bytes) -> None:
    path.unlink()
    path.write_bytes(other)


def rewrite(path: Path, other: bytes) -> None:
    with path.open("r+b") as stream:
        stream.write(other)
        stream.truncate()


def append(path: Path, other: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(other)


def cut(path: Path, _: bytes) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flip_a_bit(path: Path, _: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    rewrite(path, bytes(data))


def make_a_pipe(path: Path, _: bytes) -> None:
    path.unlink()
    os.mkfifo(path)


def remove(path: Path, _: bytes) -> None:
    path.unlink()


SWAPS = [rename_over, rewrite, append, cut, flip_a_bit, make_a_pipe, remove]


@pytest.fixture(params=["api", "developer", "folder", "folder before 8.3"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    """Each type of target, which has nothing of the module before and after the test."""
    if request.param.startswith("folder"):
        folder = tmp_path / "modules"
        folder.mkdir()
        manifest = None if request.param.endswith("8.3") else tmp_path / "modules.json"
        yield FolderTarget(folder, manifest=manifest)
        assert [each for each in tree(folder) if not each.endswith(".lock")] == []
        assert manifest is None or not manifest.exists()
        return
    is_api = request.param == "api"
    options = Options() if is_api else Options(version="8.1.44", developer_upload=True)
    with running_gateway(options) as gateway:
        if is_api:
            yield client_of(gateway)
        else:
            yield open_developer(gateway)
        assert (gateway.state.uploads, gateway.state.files) == ({}, {})
        assert MODULE_ID not in gateway.state.listed
        assert gateway.state.accepted_certificates == set()
        assert gateway.state.accepted_licenses == set()


def open_developer(gateway: Gateway) -> DeveloperGateway:
    target = open_target(f"developer+{gateway.url}", retry=retry_of(gateway))
    assert isinstance(target, DeveloperGateway)
    return target


def send(target: Target, module: VerifiedModule) -> None:
    upload = target.upload(module, file_name="pump.modl")
    target.install(upload, consent=Consent(certificate=True, license=True))


def of_target(target: Target) -> str:
    return "8.1.0" if isinstance(target, DeveloperGateway) else "8.3.0"


@pytest.mark.parametrize("swap", SWAPS)
def test_a_file_that_changed_since_it_was_verified_reaches_no_gateway(
    target: Target, tmp_path: Path, swap: Callable[[Path, bytes], None]
) -> None:
    requires = of_target(target)
    module = verified(modl(tmp_path, requires=requires))
    other = modl(tmp_path / "other", EVIL, requires=requires).read_bytes()
    swap(module.path, other)
    with pytest.raises(DeploymentError, match=r"changed while it was being sent|cannot read"):
        send(target, module)


@pytest.mark.parametrize("swap", [rewrite, append, cut, flip_a_bit])
def test_a_file_that_changes_while_it_is_sent_reaches_no_gateway(
    target: Target,
    tmp_path: Path,
    swap: Callable[[Path, bytes], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requires, large = of_target(target), Random(1).randbytes(3 << 20)
    module = verified(modl(tmp_path, requires=requires, license_text=None, large=large))
    other = modl(
        tmp_path / "other", EVIL, requires=requires, license_text=None, large=large
    ).read_bytes()

    def open_then_swap(path: Path, **options: bool) -> int:
        descriptor = open_regular(path, **options)
        swap(path, other)
        return descriptor

    monkeypatch.setattr(net_upload, "open_regular", open_then_swap)
    with pytest.raises(DeploymentError, match="changed while it was being sent"):
        send(target, module)


def test_a_file_that_is_replaced_while_it_is_sent_does_not_matter(
    gateway: Gateway, tmp_path: Path
) -> None:
    module = verified(modl(tmp_path, license_text=None, large=Random(1).randbytes(3 << 20)))
    other = modl(tmp_path / "other", EVIL).read_bytes()
    swapped: list[int] = []

    def progress(advance: int) -> None:
        if not swapped and advance:
            swapped.append(1)
            rename_over(module.path, other)

    client_of(gateway).upload(module, file_name="pump.modl", progress=progress)
    assert gateway.state.uploads[MODULE_ID].version == "1.0.0"


def test_each_attempt_compares_the_file_again(gateway: Gateway, tmp_path: Path) -> None:
    module = verified(modl(tmp_path))
    other = modl(tmp_path / "other", EVIL).read_bytes()
    gateway.faults.append(Fault("modules/upload$", "cut"))

    class Swapping(SilentReporter):
        def warning(self, text: str) -> None:
            rename_over(module.path, other)

    with pytest.raises(DeploymentError, match="changed while it was being sent"):
        client_of(gateway, reporter=Swapping()).upload(module, file_name="pump.modl")
    assert [each.version for each in gateway.state.uploads.values()] in ([], ["1.0.0"])


def test_a_folder_keeps_the_old_file_if_the_new_one_changed(tmp_path: Path) -> None:
    folder = tmp_path / "modules"
    folder.mkdir()
    target = FolderTarget(folder, manifest=tmp_path / "modules.json")
    old = verified(modl(tmp_path / "built"))
    send(target, old)
    before = (tmp_path / "modules.json").read_bytes()
    new = verified(modl(tmp_path / "built", "1.1.0"))
    rewrite(new.path, modl(tmp_path / "other", EVIL).read_bytes())
    with pytest.raises(DeploymentError, match="changed while it was being sent"):
        send(target, new)
    assert (folder / "pump.modl").read_bytes() == old.path.read_bytes()
    assert (tmp_path / "modules.json").read_bytes() == before
    assert not [each for each in tree(folder) if each.endswith(".partial")]


def test_a_file_that_is_not_what_was_written_to_the_folder_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link in its place as well; what it leads to stays."""
    (tmp_path / "modules").mkdir()
    other = modl(tmp_path / "other", EVIL)
    replace = os.replace

    def link_instead(source: Path, target: Path) -> None:
        source.unlink()
        source.symlink_to(other)
        replace(source, target)

    target = FolderTarget(tmp_path / "modules", manifest=None)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", link_instead)
        with pytest.raises(DeploymentError, match="was not what had been written to it"):
            send(target, verified(modl(tmp_path / "built")))
    assert [each for each in tree(tmp_path / "modules") if not each.endswith(".lock")] == []
    assert other.exists()
