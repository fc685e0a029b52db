"""What a probe finds out about web servers of all sorts."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends import open_repository
from tests.support.fault_proxy import fault_proxy
from tests.support.faults import AnswerInstead
from tests.support.http_steps import count_requests
from tests.support.releases import release_of
from tests.support.servers import Credentials, apache, nginx
from tests.unit.repositories.backends.http.objects import Waits, objects_at
from tests.unit.repositories.backends.http.plain_web import CLAIM, PLAIN, PlainWeb


@pytest.mark.parametrize("start", [nginx, apache])
def test_wrong_credentials_are_reported_before_anything_is_sent(tmp_path: Path, start: Any) -> None:
    user = Credentials("me", "right")
    with start(tmp_path, credentials=user) as server:
        accounts: tuple[dict[str, Any], ...] = (
            {},
            {"username": "me", "password": "hunter2"},
            {"token": "hunter2"},
        )
        for access in accounts:
            with pytest.raises(RepositoryError, match=r"127\.0\.0\.1 returned 401") as refused:
                objects_at(server.url, **access).probe()
            assert "REPOSITORY_API_TOKEN" in refused.value.hint
            assert "hunter2" not in refused.value.message + refused.value.hint
        assert list(server.root.rglob("*")) == []


def test_a_server_that_cannot_list_is_not_written(url: str, web: PlainWeb) -> None:
    web.known = PLAIN
    found = objects_at(url).probe()
    assert not found.writable
    assert "autoindex_format json" in found.obstacle
    with pytest.raises(RepositoryError, match="list folders"):
        objects_at(url).create(CLAIM, b"1")
    assert web.files == {}


@pytest.mark.parametrize("unknown", [405, 501, 403])
def test_a_read_only_server_is_read(url: str, web: PlainWeb, tmp_path: Path, unknown: int) -> None:
    web.unknown = unknown
    content = b"a module" * 1000
    release, files = release_of(tmp_path, content=content)
    folder = f"modules/{release.id}/{release.version}"
    web.files |= {
        f"{folder}/release.json": release.to_json(),
        f"{folder}/{release.files[0].name}": content,
    }
    repository = open_repository(url, access=Access())
    found = repository.check()
    assert not found.writable
    assert f"returned {unknown}" in found.obstacle
    stream = io.BytesIO()
    repository.fetch(release.id, version=release.version, to=stream)
    assert stream.getvalue() == content
    other, other_files = release_of(tmp_path, version="2.0.0")
    with pytest.raises(RepositoryError) as refused:
        repository.publish(other, files=other_files)
    assert refused.value.hint
    assert {call.method for call in web.requests} >= {"PUT", "MKCOL", "PROPFIND"}
    assert len([path for path in web.files if "2.0.0" in path]) == 0
    assert files


def test_indexes_are_read_without_any_listing(url: str, web: PlainWeb, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    release, files = release_of(tmp_path)
    open_repository(str(folder)).publish(release, files=files)
    for path in folder.rglob("*.json"):
        web.files[str(path.relative_to(folder))] = path.read_bytes()
    repository = open_repository(url)
    assert [entry.id for entry in repository.catalogue()] == [release.id]
    assert [entry.version for entry in repository.catalogue(release.id)] == [release.version]
    assert json.loads(web.files["index.json"])["modules"]


def test_a_full_server_is_reported_by_the_probe(url: str, web: PlainWeb) -> None:
    web.statuses = {"MKCOL": 507, "PROPFIND": 405}
    with pytest.raises(RepositoryError, match="the server is full"):
        objects_at(url).probe()


def test_an_account_that_may_not_delete_is_remarked(url: str, web: PlainWeb) -> None:
    web.known, web.lists, web.statuses = PLAIN, True, {"DELETE": 403}
    found = objects_at(url).probe()
    assert found.writable
    assert "can't delete" in found.remarks[1]


def test_a_server_that_lets_two_create_a_collection_promises_nothing(tmp_path: Path) -> None:
    with nginx(tmp_path) as server, fault_proxy(server.url) as proxy:
        proxy.rules.add(AnswerInstead(201), method="MKCOL", path="probe")
        objects = objects_at(proxy.url)
        found = objects.probe()
        assert found.writable
        assert not found.create_once
        assert "can't promise" in found.remarks[0]
        assert objects.claims_folders()
        waits = Waits()
        assert objects_at(server.url, waits=waits).create(CLAIM, b"1")
        assert waits.slept == []
        proxy.rules.add(AnswerInstead(201), method="MKCOL", path="probe")
        assert objects_at(proxy.url, waits=waits).create(CLAIM.replace("-0", "-1"), b"1")
        assert waits.slept == [5.0]


def test_two_that_race_for_a_collection_are_all_that_a_probe_needs(tmp_path: Path) -> None:
    with nginx(tmp_path) as server, count_requests() as steps:
        assert objects_at(server.url).probe().create_once
    assert steps.methods == ["PROPFIND", "MKCOL", "MKCOL", "PUT", "DELETE"]


def test_a_collection_that_was_refused_for_another_reason_is_created_again(tmp_path: Path) -> None:
    """As Apache does now and then: it answers 403 to the second of two at the same moment."""
    with nginx(tmp_path) as server, fault_proxy(server.url) as proxy:
        proxy.rules.add(AnswerInstead(403), method="MKCOL", path="probe")
        assert objects_at(proxy.url).probe().create_once
        assert [each.method for each in proxy.rules.requests].count("MKCOL") == 3
