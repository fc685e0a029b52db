"""Generic repositories of Artifactory: permissions, checksums, and what isn't transferred."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import NotInRepository, RepositoryError
from ign_deploy.net.response import Response
from ign_deploy.repositories.backends.http.artifactory import artifactory_error
from ign_deploy.repositories.backends.object_store import Name
from tests.support.artifactory import Artifactory
from tests.support.serving import Reply, scripted_server, serving
from tests.support.transfers import Counter
from tests.unit.repositories.backends.http.objects import Waits, all_at_once, file_of, objects_at

CLAIM = "modules/com.acme.thing/1.0.0/claim-0.json"


@pytest.fixture
def product() -> Iterator[Artifactory]:
    with serving(Artifactory()) as server:
        yield server


@pytest.fixture
def opened(product: Artifactory) -> Callable[..., Any]:
    """Return what opens the objects of the simulated repository."""

    def at(path: str = "", **options: Any) -> Any:
        options = {"token": product.token, **options}
        return objects_at(f"artifactory+{product.repository}{path}", **options)

    return at


def test_an_account_that_may_not_overwrite_claims_is_found(
    product: Artifactory, opened: Callable[..., Any]
) -> None:
    for _ in range(2):
        found = opened("/a folder").probe()
        assert (found.writable, found.create_once, found.server_digest, found.resume) == (True,) * 4
        assert found.remarks == ()
        assert set(product.files) == {"a folder/ign-deploy-probe/claim-0.json"}


def test_an_account_that_may_overwrite_is_remarked_and_claims_are_timed(
    product: Artifactory, opened: Callable[..., Any]
) -> None:
    product.kept = ()
    waits = Waits()
    objects = opened(waits=waits)
    found = objects.probe()
    assert (found.writable, found.create_once) == (True, False)
    assert "Delete/Overwrite" in found.remarks[0]
    assert product.files == {}
    assert objects.create(CLAIM, b"1")
    assert waits.slept == [5.0]
    assert not opened(waits=waits).create(CLAIM, b"2")


@pytest.mark.parametrize("probed", [False, True])
def test_an_account_that_may_not_deploy_is_an_obstacle(
    product: Artifactory, opened: Callable[..., Any], probed: bool
) -> None:
    if probed:
        opened().probe()
    product.deploys = False
    found = opened().probe()
    assert (found.writable, found.create_once) == (False, False)
    assert "returned 403" in found.obstacle
    assert "publisher needs DEPLOY permission" in found.obstacle


@pytest.mark.parametrize("status", [403, 404])
def test_what_xray_blocks_is_said_to_be_blocked_with_its_reason(
    product: Artifactory, opened: Callable[..., Any], tmp_path: Path, status: int
) -> None:
    file = file_of(tmp_path / "a.modl", b"content")
    opened().send("m/a.modl", tmp_path / "a.modl", expected=file, progress=lambda _: None)
    product.blocked, product.blocks_with = "*.modl", status
    with pytest.raises(RepositoryError) as caught:
        opened().receive("m/a.modl", to=io.BytesIO(), expected=file, progress=lambda _: None)
    assert not isinstance(caught.value, NotInRepository)
    assert f"JFrog Xray blocks it ({status})" in caught.value.message
    assert "download blocking policy configured in Xray for modules" in caught.value.message
    assert "resolved or ignored in Xray" in caught.value.hint


def test_an_answer_without_a_reason_is_explained_as_before() -> None:
    for body in (b"<html>", b'{"errors": []}', b'{"errors": [{"message": 1}]}', b'{"errors": [1]}'):
        response = Response(403, body=body, title="reading x", error=RepositoryError)
        problem = artifactory_error(response, hints={})
        assert problem.message.endswith("returned 403: the account lacks the permission")


def test_wrong_tokens_rights_and_repositories_are_reported(
    product: Artifactory, opened: Callable[..., Any]
) -> None:
    with pytest.raises(RepositoryError, match="returned 401") as refused:
        opened(token="hunter2").probe()
    assert "API keys" in refused.value.hint
    assert "hunter2" not in refused.value.message + refused.value.hint
    product.reads = False
    with pytest.raises(RepositoryError, match="returned 403") as refused:
        opened().probe()
    assert "Deploy/Cache" in refused.value.hint
    product.reads = True
    with pytest.raises(RepositoryError, match="returned 404") as refused:
        opened("x").probe()
    assert "'modulesx'" in refused.value.hint


def test_a_password_is_taken(product: Artifactory, opened: Callable[..., Any]) -> None:
    account = {"token": "", "username": product.username, "password": product.password}
    assert opened(**account).probe().writable


def test_a_claim_goes_to_one_even_when_two_were_checked_before_either_was_stored(
    product: Artifactory, opened: Callable[..., Any]
) -> None:
    opened().probe()
    product.slow_commit = 0.05
    claims = [partial(opened().create, CLAIM, b"%d" % number) for number in range(6)]
    results = all_at_once(*claims)
    assert sorted(map(bool, results)) == [False] * 5 + [True]
    assert product.files[CLAIM] == b"%d" % results.index(True)


def test_documents_are_written_but_records_never_again(
    product: Artifactory, opened: Callable[..., Any]
) -> None:
    objects = opened()
    record = "modules/a/1.0/release.json"
    assert objects.put(record, b"1", replaces=None)
    assert not objects.put(record, b"2", replaces=None)
    assert product.files[record] == b"1"
    assert objects.put("index.json", b"1", replaces=None)
    assert objects.put("index.json", b"2", replaces=objects.get("index.json", limit=10))
    product.kept = ("*",)
    with pytest.raises(RepositoryError, match=r"writing index\.json") as refused:
        objects.put("index.json", b"3", replaces=objects.get("index.json", limit=10))
    assert "Delete/Overwrite" in refused.value.hint


def test_bytes_that_are_stored_anywhere_are_not_transferred(
    product: Artifactory, opened: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "a.modl"
    file = file_of(path, b"content" * 1000)
    for folder in ("x", "y"):
        counter = Counter()
        opened().send(f"{folder}/a.modl", path, expected=file, progress=counter)
        assert product.files[f"{folder}/a.modl"] == path.read_bytes()
        assert counter.done == file.size
    uploads = [call for call in product.requests if call.method == "PUT" and call.body]
    assert [call.path for call in uploads] == ["/artifactory/modules/x/a.modl"]
    assert uploads[0].headers["X-Checksum-Sha256"] == file.sha256


def test_a_damaged_upload_is_rejected(
    product: Artifactory, opened: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "a.modl"
    file = file_of(path, b"content")
    product.corrupts = True
    counter = Counter()
    with pytest.raises(RepositoryError, match=r"returned 409") as refused:
        opened().send("a.modl", path, expected=file, progress=counter)
    assert "checksum policy" in refused.value.hint
    assert counter.done == 0
    assert product.files == {}


def test_a_left_file_is_replaced_or_kept_when_it_is_the_same(
    product: Artifactory, opened: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "a.modl"
    product.files["a.modl"] = b"left"
    file = file_of(path, b"ours")
    opened().send("a.modl", path, expected=file, progress=Counter())
    assert product.files["a.modl"] == b"ours"
    product.kept = ("*",)
    counter = Counter()
    opened().send("a.modl", path, expected=file, progress=counter)
    assert counter.done == 4
    with pytest.raises(RepositoryError, match="returned 403"):
        opened().send("a.modl", path, expected=file_of(path, b"new"), progress=Counter())


def test_a_folder_is_listed_with_one_request(
    product: Artifactory, opened: Callable[..., Any]
) -> None:
    product.files |= {f"p/modules/a/1.0.{number}/release.json": b"" for number in range(50)}
    product.files["p/modules/a/index.json"] = b""
    objects = opened("/p")
    names = objects.names("modules/a")
    assert len(names) == 51
    assert Name("index.json", is_folder=False) in names
    assert Name("1.0.7", is_folder=True) in names
    assert objects.names("modules/missing") == []
    assert len(product.requests) == 2


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"children": 5}', b'{"children": [{"uri": 5}]}']
)
def test_an_odd_response_is_rejected(body: bytes) -> None:
    with scripted_server(Reply(200, body=body)) as server:
        objects = objects_at(f"artifactory+{server.url}/artifactory/modules")
        with pytest.raises(RepositoryError, match="sent an unexpected response"):
            objects.names("modules")


def test_hostile_names_are_skipped() -> None:
    body = b"""{"children": [{"uri": "/../x", "folder": true}, {"uri": "/a/b"}, {"uri": "/good"},
               {"uri": "/.."}, {"uri": "//x"}, {"uri": ""}, {"uri": "/a\\u0000"}]}"""
    with scripted_server(Reply(200, body=body)) as server:
        objects = objects_at(f"artifactory+{server.url}/artifactory/modules")
        assert objects.names("modules") == [Name("good", is_folder=False)]
