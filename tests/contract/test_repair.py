"""A version whose bytes aren't those of its record, wherever they come from, can be removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from ign_deploy.repositories.backends.object_store import ObjectVersions
from ign_deploy.repositories.repository import StoreRepository
from ign_deploy.repositories.store import Key
from tests.contract.opened import Opened
from tests.contract.test_reading import environment, workspace
from tests.support.cli import CliWorkspace
from tests.support.releases import release_of
from tests.support.transfers import Counter

__all__ = ["workspace"]
ID, VERSION = "com.example.pump", "1.2.3"
NAMED = f"{ID}@{VERSION}"


def replace_bytes(store: Opened, name: str, folder: Path) -> None:
    """Put other bytes in place of a published file, past the repository."""
    path = f"{Key(ID, VERSION).folder}/{name}"
    if not store.server:
        (Path(unquote(urlsplit(store.url).path)) / path).write_bytes(b"other bytes")
        return
    opened: Any = store.open()
    assert isinstance(opened, StoreRepository)
    if not isinstance(opened.store.versions, ObjectVersions):
        pytest.skip("its files can't be changed one by one")
    other, files = release_of(folder, content=b"other bytes")
    objects = opened.store.versions.objects
    objects.probe()
    objects.delete(path)
    (file,) = files.values()
    objects.send(path, file, expected=other.module_file, progress=Counter())


def test_a_version_with_other_bytes_than_its_record_is_removed_and_followed(
    store: Opened, workspace: CliWorkspace, tmp_path: Path
) -> None:
    env = environment(store)
    upload = ("upload", workspace.signed())
    workspace.call(*upload, env=env).must(0)
    record = store.open().fetch(ID, version=VERSION)
    replace_bytes(store, record.module_file.name, tmp_path / "other")
    download = ("download", ID, "-o", "out")
    assert "isn't what its record says" in workspace.call(*download, env=env).must(5).stderr
    remove = ("remove", NAMED, "--reason", "mixed up", "--confirm", NAMED)
    workspace.call(*remove, env=env).must(0)
    assert "removed" in workspace.call(*download, "-v", VERSION, env=env).must(6).stderr
    workspace.call(*upload, env=env).must(6)
    release, files = release_of(tmp_path / "next", module_id=ID, version="1.2.4")
    store.open().publish(release, files=files)
    assert [each.version for each in store.open().catalogue(ID)] == ["1.2.4"]
