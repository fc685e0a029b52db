"""Registries with other habits than the CNCF's: pages, immutable tags, blobs on another host."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ign_deploy.errors import RepositoryError, VersionConflict
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.repositories import PublishOutcome
from ign_deploy.repositories.claims import Claim
from ign_deploy.repositories.store import Key
from tests.support.fault_proxy import fault_proxy
from tests.support.faults import AnswerInstead
from tests.support.releases import release_of
from tests.support.serving import Reply, scripted_server
from tests.support.stores import claims_of
from tests.unit.repositories.backends.oci.oci_registry import Registry, oci_registry
from tests.unit.repositories.backends.oci.opening import NAME, open_at, store_at

ID = "com.acme.thing"
VERSIONS = r"[A-Za-z0-9]"
IMMUTABLE = "?immutable-tags=true"


def test_all_pages_of_tags_are_read() -> None:
    with oci_registry(Registry(page=2)) as server:
        store = store_at(server.url)
        names = [f"{number}.json" for number in range(7)]
        for name in names:
            store.documents.add(f"ledger/{name}", b"1")
        server.asked.clear()
        assert sorted(store.documents.names("ledger")) == names
        assert len(server.asked) == 4


@pytest.mark.parametrize(
    "link",
    [
        '<https://evil.example/v2/acme/ignition-modules/tags/list?last=a>; rel="next"',
        '</v2/other/tags/list?last=a>; rel="next"',
        f'</v2/{NAME}/tags/list?n=1000>; rel="next"',  # the same page again, for ever
    ],
)
def test_pages_elsewhere_or_without_an_end_are_rejected(link: str) -> None:
    with oci_registry(Registry(link=link)) as server:
        with pytest.raises(RepositoryError, match="tags"):
            store_at(server.url).documents.names("ledger")
        assert len(server.asked) <= 2


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"tags": {}}', b'{"tags": "x"}', b"null", b"\xff", b"[" * 100_000]
)
def test_a_list_of_tags_that_cannot_be_read_is_not_taken_for_an_empty_one(body: bytes) -> None:
    with (
        scripted_server(Reply(200, body=body)) as server,
        pytest.raises(RepositoryError, match="list of tags"),
    ):
        store_at(server.url).documents.names("ledger")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"tags": null}', []),
        (b'{"name": "x"}', []),
        (b'{"tags": [1, null, "../a_v1", "_d.ledger_sa", "b_v1"], "more": 1}', ["a"]),
    ],
)
def test_odd_tags_are_skipped(body: bytes, expected: list[str]) -> None:
    with scripted_server(Reply(200, body=body)) as server:
        assert store_at(server.url).documents.names("ledger") == expected


def test_where_blobs_are_on_another_host_it_gets_no_credentials(tmp_path: Path) -> None:
    release, files = release_of(tmp_path, content=b"m" * 100_000)
    registry = Registry(password="s3cret")
    with oci_registry(registry, has_storage=True) as server:
        repository = open_at(server.url, username="ann", password="s3cret")
        repository.publish(release, files=files)
        target = io.BytesIO()
        repository.fetch(ID, version="1.0.0", to=target)
        assert target.getvalue() == b"m" * 100_000
        own = [each for each in server.asked if f"http://{each[0]}" == server.url]
        others = [each for each in server.asked if f"http://{each[0]}" == server.storage]
    assert {method for _, method, _, _ in others} == {"PUT", "GET"}
    assert not [each for each in others if each[3]]
    assert [each for each in own if each[3].startswith("Basic ")]


@pytest.mark.parametrize("deletes", [True, False])
def test_with_immutable_tags_nothing_is_claimed_and_the_first_one_stays(
    tmp_path: Path, deletes: bool
) -> None:
    with oci_registry(Registry(immutable=VERSIONS, deletes=deletes)) as server:
        first, files = release_of(tmp_path, content=b"one")
        repository = open_at(server.url, options=IMMUTABLE)
        found = repository.check()
        assert found.create_once
        assert found.remarks == ()
        assert repository.publish(first, files=files).outcome is PublishOutcome.PUBLISHED
        assert not [tag for tag in server.tags if tag.startswith("_c.")]
        second, others = release_of(tmp_path, content=b"two")
        with pytest.raises(VersionConflict):
            open_at(server.url, options=IMMUTABLE).publish(second, files=others)
        again = open_at(server.url, options=IMMUTABLE).publish(first, files=files)
        assert again.outcome is PublishOutcome.ALREADY_PUBLISHED


def test_the_loser_of_a_race_for_an_immutable_tag_sees_the_winner(tmp_path: Path) -> None:
    with oci_registry(Registry(immutable=VERSIONS)) as server:
        first, files = release_of(tmp_path, content=b"one")
        second, others = release_of(tmp_path, content=b"two")
        late = store_at(server.url, options=IMMUTABLE)
        key = Key(ID, "1.0.0")
        claims_of(late).put_files(key, second, files=others, progress=lambda _: None)
        open_at(server.url, options=IMMUTABLE).publish(first, files=files)
        claims_of(late).put_record(
            key, Claim("h", 0, claims_of(late).now(), second), second.to_json()
        )
        assert late.versions.read_record(key) == first.to_json()


def test_immutability_is_tried_not_believed(tmp_path: Path) -> None:
    release, files = release_of(tmp_path)
    with oci_registry(Registry()) as server:
        repository = open_at(server.url, options=IMMUTABLE)
        assert not repository.check().create_once
        with pytest.raises(RepositoryError, match="can be moved") as caught:
            repository.publish(release, files=files)
        assert "make all tags immutable" in caught.value.hint
        assert not [tag for tag in server.tags if not tag.startswith("ign-deploy")]


def test_where_all_tags_are_immutable_it_says_which_must_not_be() -> None:
    with oci_registry(Registry()) as server:
        store = store_at(server.url)
        store.documents.add("index.json", b"1")
        server.immutable = ".*"
        store.documents.add("index.json", b"1")  # the same again: an acknowledgement got lost
        with pytest.raises(RepositoryError, match="TAG_IMMUTABLE") as caught:
            store.documents.add("index.json", b"2")
        assert "begin with '_'" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (413, b"", "size limit"),
        (403, b'{"errors": [{"code": "DENIED", "message": "quota exceeded"}]}', "quota"),
        (404, b'{"errors": [{"code": "NAME_UNKNOWN"}]}', "create the repository first"),
        (403, b"<html>", "set REPOSITORY_USERNAME"),
        (418, b'{"errors": 7}', "log"),
    ],
)
def test_a_refused_upload_says_what_to_do(status: int, body: bytes, hint: str) -> None:
    with scripted_server(Reply(), Reply(status, body=body)) as server:
        found = open_at(server.url).check()
    assert not found.writable
    assert hint in found.obstacle
    assert str(status) in found.obstacle


def test_a_digest_that_the_registry_misread_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CNCF registry does so when two runs send one blob at the same moment."""
    monkeypatch.setattr(RetryPolicy, "wait_before", lambda *_: 0.001)
    release, files = release_of(tmp_path)
    body = b'{"errors": [{"code": "DIGEST_INVALID", "message": "misread"}]}'
    with oci_registry(Registry()) as server, fault_proxy(server.url) as proxy:
        rule = proxy.rules.add(AnswerInstead(400, body=body), method="PUT", path="/manifests/")
        outcome = open_at(proxy.url).publish(release, files=files).outcome
    assert outcome is PublishOutcome.PUBLISHED
    assert rule.hits == 1
