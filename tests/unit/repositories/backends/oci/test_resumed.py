"""Uploads of large files that break off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import NetworkError
from ign_deploy.net.errors import TransientFailure
from ign_deploy.net.response import Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.repositories.backends.oci import blobs
from ign_deploy.repositories.backends.oci.client import RegistryClient
from ign_deploy.repositories.store import Key
from tests.support.fault_proxy import fault_proxy
from tests.support.faults import CutRequest
from tests.support.releases import release_of
from tests.support.servers import registry
from tests.support.stores import claims_of
from tests.support.transfers import Counter
from tests.unit.repositories.backends.oci.oci_registry import Registry, oci_registry
from tests.unit.repositories.backends.oci.opening import store_at

MEGABYTE = 1 << 20
CONTENT = os.urandom(8 * MEGABYTE)
KEY = Key("com.acme.thing", "1.0.0")


@pytest.fixture(autouse=True)
def _resumable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryPolicy, "wait_before", lambda *_: 0.001)
    monkeypatch.setattr(blobs, "RESUMABLE", MEGABYTE)


@pytest.fixture
def server() -> Iterator[Registry]:
    with oci_registry(Registry()) as running:
        yield running


def send(url: str, folder: Path) -> str:
    """Upload the file; return its digest."""
    release, files = release_of(folder, content=CONTENT)
    counter = Counter()
    claims_of(store_at(url)).put_files(KEY, release, files=files, progress=counter)
    assert counter.done == len(CONTENT)
    return f"sha256:{release.module_file.sha256}"


def test_an_upload_is_continued_where_it_broke_off_as_long_as_it_gets_further(
    server: Registry, tmp_path: Path
) -> None:
    server.breaks = [MEGABYTE] * 7
    digest = send(server.url, tmp_path)
    assert server.blobs[digest] == CONTENT
    last = len(CONTENT) - 1
    begins = ["", "", *(f"{number * MEGABYTE}-{last}" for number in range(1, 7))]
    assert [part for method, part in server.sent if method == "PATCH"] == begins[1:]
    assert server.sent[0] == ("PUT", "")


def test_a_registry_that_forgets_the_session_gets_everything_again(
    server: Registry, tmp_path: Path
) -> None:
    server.forgets, server.breaks = True, [MEGABYTE] * 3
    digest = send(server.url, tmp_path)
    assert server.blobs[digest] == CONTENT
    assert {part for _, part in server.sent} == {""}


@pytest.mark.parametrize(("further", "attempts"), [(32, 9), (0, 5)])
def test_attempts_that_get_further_do_not_count_where_the_session_is_forgotten(
    server: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, further: int, attempts: int
) -> None:
    """Of what was sent last, the network may still have held some."""
    upload, tried = RegistryClient.upload, 0

    def breaks(client: RegistryClient, *arguments: Any, progress: Any, **options: Any) -> Response:
        nonlocal tried
        tried += 1
        if tried == 9:
            return upload(client, *arguments, progress=progress, **options)
        arrived = (64 + tried * further) * MEGABYTE
        progress(arrived)
        progress(-arrived)
        raise TransientFailure("the connection broke", hint="try again.")

    monkeypatch.setattr(RegistryClient, "upload", breaks)
    server.forgets = True
    if further:
        assert server.blobs[send(server.url, tmp_path)] == CONTENT
    else:
        with pytest.raises(TransientFailure):
            send(server.url, tmp_path)
    assert tried == attempts


def test_without_progress_the_attempts_are_used_up(server: Registry, tmp_path: Path) -> None:
    server.breaks = [0] * 9
    with pytest.raises(NetworkError):
        send(server.url, tmp_path)
    assert len(server.sent) == 5


def test_a_registry_that_takes_one_request_only_gets_one(server: Registry, tmp_path: Path) -> None:
    server.patches, server.breaks = False, [MEGABYTE] * 2
    digest = send(server.url, tmp_path)
    assert server.blobs[digest] == CONTENT
    assert {method for method, _ in server.sent} == {"PUT"}


def test_a_real_registry_gets_the_file_after_breaks(tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    folder.mkdir()
    with registry(folder) as real, fault_proxy(real.url) as proxy:
        proxy.rules.add(CutRequest(3 * MEGABYTE), method="PUT", path="digest=.*")
        cut = proxy.rules.add(CutRequest(3 * MEGABYTE), method="PATCH")
        send(proxy.url, tmp_path)
        assert cut.hits == 1
        send(real.url, tmp_path)
