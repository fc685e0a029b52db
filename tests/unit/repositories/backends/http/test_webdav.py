"""Web servers of all sorts: with WebDAV, without collections, without listings, read-only."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import NetworkError, NotInRepository, RepositoryError, VerificationError
from ign_deploy.repositories.backends.object_store import Name
from ign_deploy.repositories.claims import Claim, claim_bytes, parse_claim
from tests.support.fault_proxy import fault_proxy
from tests.support.faults import AnswerInstead, LoseAnswer
from tests.support.releases import release_of
from tests.support.servers import apache, nginx
from tests.support.serving import Reply, scripted_server
from tests.support.transfers import Counter
from tests.unit.repositories.backends.http.objects import Waits, all_at_once, file_of, objects_at
from tests.unit.repositories.backends.http.plain_web import CLAIM, PLAIN, PlainWeb


@pytest.mark.parametrize("start", [nginx, apache])
def test_a_webdav_server_is_written_exactly_once(tmp_path: Path, start: Any) -> None:
    with start(tmp_path) as server:
        objects = objects_at(f"{server.url}/new")
        found = objects.describe(objects.probe())
        assert (found.location, found.remarks) == (f"{server.url}/new", ())
        assert found.writable
        assert found.create_once
        assert found.resume
        assert not found.compare_and_swap
        assert not found.server_digest
        # The folder was made, nothing else was left.
        assert [path.name for path in server.root.rglob("*")] == ["new"]


@pytest.mark.parametrize("start", [nginx, apache])
def test_a_folder_that_is_missing_is_noticed_without_making_it(tmp_path: Path, start: Any) -> None:
    with start(tmp_path) as server:
        assert objects_at(server.url).exists()
        assert not objects_at(f"{server.url}/new").exists()
        assert list(server.root.rglob("*")) == []


def test_a_server_without_webdav_has_a_repository_if_it_has_an_index(
    url: str, web: PlainWeb
) -> None:
    web.lists = True
    web.files = {"other.txt": b"x"}
    assert objects_at(url).exists()
    assert not objects_at(f"{url}/a/b").exists()
    web.lists = False
    web.files = {"index.json": b"{}"}
    assert objects_at(url).exists()
    assert {call.method for call in web.requests} <= {"GET", "PROPFIND"}


@pytest.mark.parametrize("status", [401, 403])
def test_a_repository_that_may_not_be_read_is_not_missing(
    url: str, web: PlainWeb, status: int
) -> None:
    web.statuses = {"PROPFIND": status, "GET": status}
    with pytest.raises(RepositoryError, match=f"returned {status}"):
        objects_at(url).exists()


@pytest.mark.parametrize("start", [nginx, apache])
def test_a_claim_goes_to_one_and_is_removed(tmp_path: Path, start: Any) -> None:
    with start(tmp_path) as server:
        objects = objects_at(server.url)
        assert objects.created(CLAIM) is None
        claims = [partial(objects_at(server.url).create, CLAIM, b"%d" % each) for each in range(8)]
        results = all_at_once(*claims)
        assert sorted(map(bool, results)) == [False] * 7 + [True]
        assert objects.created(CLAIM) == b"%d" % results.index(True)
        folder = CLAIM.rpartition("/")[0]
        assert objects.names(folder) == [Name("claim-0.json", is_folder=True)]
        objects.delete(CLAIM)
        objects.delete(CLAIM)
        assert objects.names(folder) == []


def test_a_folder_below_a_missing_one_is_an_error(tmp_path: Path) -> None:
    with (
        nginx(tmp_path) as server,
        pytest.raises(RepositoryError, match="neither the folder"),
    ):
        objects_at(f"{server.url}/a b/c").probe()


def test_a_private_authority_is_trusted_when_given(tmp_path: Path) -> None:
    with nginx(tmp_path, tls=True, token="t0k") as server:
        found = objects_at(server.url, token="t0k", ca=server.ca_file).probe()
        assert found.create_once
        with pytest.raises(NetworkError, match="isn't trusted"):
            objects_at(server.url, token="t0k").probe()


def test_apache_keeps_a_document_that_changed_in_the_meantime(tmp_path: Path) -> None:
    with apache(tmp_path) as server:
        objects = objects_at(server.url)
        objects.put("a/index.json", b"1", replaces=None)
        # A tag is strong only when the file is older than a second.
        os.utime(server.root / "a" / "index.json", (1e9, 1e9))
        seen = objects.get("a/index.json", limit=100)
        assert seen.tag == ""
        assert objects.put("a/index.json", b"22", replaces=seen)
        assert not objects.put("a/index.json", b"333", replaces=seen)
        assert not objects.put("a/index.json", b"333", replaces=None)
        assert objects.get("a/index.json", limit=100).data == b"22"


def test_a_condition_that_is_refused_though_it_holds_is_no_longer_sent(tmp_path: Path) -> None:
    """Apache with mod_deflate refuses the ETags that it gave itself."""
    with apache(tmp_path) as server, fault_proxy(server.url) as proxy:
        for header in ("if-match", "if-none-match"):
            proxy.rules.clear()
            proxy.rules.add(AnswerInstead(412), method="PUT", header=header, times=None)
            objects = objects_at(proxy.url)
            objects.probe()
            path = f"a/{header}.json"
            if header == "if-match":
                objects.put(path, b"1", replaces=None)
                os.utime(server.root / path, (1e9, 1e9))  # gives it a strong tag
            seen = objects.get(path, limit=100)
            assert objects.put(path, b"2", replaces=seen)
            assert objects.get(path, limit=100).data == b"2"
            sent = proxy.rules.count("PUT", path)
            assert objects.put(path, b"3", replaces=objects.get(path, limit=100))
            assert proxy.rules.count("PUT", path) == sent + 1


def test_a_write_whose_acknowledgement_got_lost_counts(tmp_path: Path) -> None:
    with apache(tmp_path) as server, fault_proxy(server.url) as proxy:
        objects = objects_at(proxy.url)
        objects.probe()
        proxy.rules.add(LoseAnswer(), method="PUT", path="index")
        assert objects.put("a/index.json", b"1", replaces=None)


def test_a_claim_that_two_runs_were_given_is_held_by_the_first_to_look(tmp_path: Path) -> None:
    """sabre/dav tells two runs at once that they made the collection."""
    with nginx(tmp_path) as server, fault_proxy(server.url) as proxy:
        first, second = objects_at(server.url), objects_at(proxy.url)
        assert first.create(CLAIM, b"1")
        second.probe()
        proxy.rules.add(AnswerInstead(201), method="MKCOL", path="claim-0")
        assert not second.create(CLAIM, b"2")
        assert first.created(CLAIM) == b"1"


def test_several_claims_of_one_generation_are_no_ones_until_the_longest_has_expired(
    tmp_path: Path,
) -> None:
    with nginx(tmp_path) as server:
        objects = objects_at(server.url)
        release, _ = release_of(tmp_path)
        begin = datetime(2026, 1, 1, tzinfo=UTC)
        claims = [
            Claim(name, 0, begin + timedelta(seconds=len(name)), release)
            for name in ("a", "b", "ccc")
        ]
        assert objects.create(CLAIM, claim_bytes(claims[0]))
        for claim in claims[1:]:
            objects.put(f"{CLAIM}/{claim.holder}", claim_bytes(claim), replaces=None)
        found = parse_claim(objects.created(CLAIM), generation=0)
        assert found.holder == ""
        assert found.claimed_at == claims[2].claimed_at


def test_of_a_document_longer_than_its_limit_one_byte_more_is_read(url: str, web: PlainWeb) -> None:
    web.files["x"] = b"12345"
    assert objects_at(url).get("x", limit=5).data == b"12345"
    assert objects_at(url).get("x", limit=2).data == b"123"


def test_a_slow_claim_is_ours_only_if_no_one_took_it_over(tmp_path: Path) -> None:
    with nginx(tmp_path) as server:
        other = objects_at(server.url)
        other.probe()
        later = CLAIM.replace("-0", "-1")
        for takes_over in (False, True):
            now = iter(range(0, 10_000, 100))
            waits = Waits(act=(lambda: other.create(later, b"2")) if takes_over else lambda: None)
            objects = objects_at(server.url, waits=waits)
            wait_policy = objects._wait_policy
            object.__setattr__(wait_policy, "clock", lambda now=now: float(next(now)))
            assert objects.create(CLAIM, b"1") is not takes_over
            assert waits.slept == [wait_policy.grace]
            other.delete(CLAIM)


@pytest.mark.parametrize("start", [nginx, apache])
def test_a_claim_that_was_taken_over_and_removed_is_not_ours(tmp_path: Path, start: Any) -> None:
    with start(tmp_path) as server:
        objects, other = objects_at(server.url), objects_at(server.url)
        objects.probe()
        change = objects._client.request

        def take_over(method: str, url: str, **options: Any) -> Any:
            sent = change(method, url, **options)
            if method == "MKCOL" and "claim-0" in url:
                other.delete(CLAIM)
            return sent

        objects._client.request = take_over
        assert objects.create(CLAIM, b"1") is False


def test_without_collections_a_claim_is_timed(url: str, web: PlainWeb) -> None:
    web.known, web.lists = PLAIN, True
    waits = Waits()
    objects = objects_at(url, waits=waits)
    found = objects.probe()
    assert (found.writable, found.create_once) == (True, False)
    assert "WebDAV" in found.remarks[0]
    assert web.files == {}
    assert objects.create(CLAIM, b"1")
    assert waits.slept == [5.0]
    assert objects.created(CLAIM) == b"1"
    assert not objects_at(url, waits=waits).create(CLAIM, b"2")
    assert objects.names("modules/com.acme.thing/1.0.0") == [Name("claim-0.json", is_folder=False)]
    objects.delete(CLAIM)
    assert objects.created(CLAIM) is None


def test_a_timed_claim_that_was_overwritten_is_not_ours(url: str, web: PlainWeb) -> None:
    web.known, web.lists = PLAIN, True

    def overwrite() -> None:
        web.files[CLAIM] = b"another's"

    assert not objects_at(url, waits=Waits(act=overwrite)).create(CLAIM, b"1")


def test_one_of_many_timed_claims_holds(url: str, web: PlainWeb) -> None:
    web.known, web.lists = PLAIN, True
    writers = [objects_at(url, claim_wait=1.5) for _ in range(8)]
    for writer in writers:
        writer.probe()
    claims = [partial(each.create, CLAIM, b"%d" % number) for number, each in enumerate(writers)]
    results = all_at_once(*claims)
    assert [each for each in results if each is not False] == [True]
    assert web.files[CLAIM] == b"%d" % results.index(True)


def test_a_claim_on_a_server_that_is_too_slow_is_given_up(url: str, web: PlainWeb) -> None:
    web.known, web.lists = PLAIN, True
    objects = objects_at(url, waits=Waits(), claim_wait=-1.0)
    with pytest.raises(RepositoryError, match="another job may have claimed"):
        objects.create(CLAIM, b"1")


def test_refused_reading_listing_and_deleting_are_errors(url: str, web: PlainWeb) -> None:
    web.statuses = {"GET": 403, "PROPFIND": 403, "DELETE": 423, "MKCOL": 403}
    objects = objects_at(url)
    for action in (
        partial(objects.get, "x", limit=10),
        partial(objects.names, "x"),
        partial(objects.delete, "x"),
        partial(objects.put, "x/y", b"", replaces=None),
        objects.probe,
    ):
        with pytest.raises(RepositoryError, match=r"returned 4(03|23)"):
            action()


def test_an_upload_is_never_redirected() -> None:
    with (
        scripted_server(Reply(201)) as elsewhere,
        scripted_server(Reply(307, headers={"Location": f"{elsewhere.url}/x"})) as server,
    ):
        with pytest.raises(RepositoryError, match="redirects to"):
            objects_at(server.url, token="t0k").put("x", b"1", replaces=None)
        assert elsewhere.requests == []


def test_a_digest_that_the_server_states_is_compared(
    url: str, web: PlainWeb, tmp_path: Path
) -> None:
    web.known, web.lists, web.digests = PLAIN, True, True
    file = file_of(tmp_path / "a.modl", b"content")
    objects = objects_at(url)
    assert objects.describe(objects.probe()).server_digest
    objects.send("a.modl", tmp_path / "a.modl", expected=file, progress=Counter())
    web.corrupts = True
    with pytest.raises(RepositoryError, match=r"has a\.modl with 7 bytes and SHA-256"):
        objects.send("a.modl", tmp_path / "a.modl", expected=file, progress=Counter())


def test_a_stored_file_of_another_size_is_rejected(url: str, web: PlainWeb, tmp_path: Path) -> None:
    file = file_of(tmp_path / "a.modl", b"content")
    web.files["a.modl"] = b"short"
    with pytest.raises(RepositoryError, match="with 5 bytes"):
        objects_at(url)._require_stored("a.modl", file)


def test_a_download_that_is_another_file_or_gone_is_distinguished(
    url: str, web: PlainWeb, tmp_path: Path
) -> None:
    file = file_of(tmp_path / "a.modl", b"content")
    with pytest.raises(NotInRepository):
        objects_at(url).receive("a.modl", to=io.BytesIO(), expected=file, progress=Counter())
    web.files["a.modl"] = b"another"
    with pytest.raises(VerificationError):
        objects_at(url).receive("a.modl", to=io.BytesIO(), expected=file, progress=Counter())
    web.statuses = {"GET": 403}
    with pytest.raises(RepositoryError) as refused:
        objects_at(url).receive("a.modl", to=io.BytesIO(), expected=file, progress=Counter())
    assert not isinstance(refused.value, NotInRepository)


def test_eight_workers_share_the_connections_of_one_session(tmp_path: Path) -> None:
    from tests.support.file_server import file_server

    with file_server() as server:
        server.files = {f"/x{number}": b"%d" % number for number in range(8)}
        objects = objects_at(server.url)

        def read_many(number: int) -> list[bytes]:
            return [objects.get(f"x{number}", limit=10).data for _ in range(25)]

        results = all_at_once(*(partial(read_many, number) for number in range(8)))
        assert results == [[b"%d" % number] * 25 for number in range(8)]
        assert server.connections <= 8


def test_every_request_for_properties_says_that_its_body_is_xml(tmp_path: Path) -> None:
    """Lighttpd responds with 415 to one that doesn't."""
    with nginx(tmp_path) as server, fault_proxy(server.url) as proxy:
        objects = objects_at(proxy.url)
        objects.exists()
        objects.create(CLAIM, b"1")
        objects.created(CLAIM)
        objects.names("modules")
        objects.delete(CLAIM)
        found = [each for each in proxy.rules.requests if each.method == "PROPFIND"]
    assert len(found) > 4
    assert {dict(each.headers)["Content-Type"] for each in found} == {"application/xml"}


@pytest.mark.parametrize("start", [nginx, apache])
def test_the_folder_of_a_document_is_made_only_where_it_is_missing(
    tmp_path: Path, start: Any
) -> None:
    with start(tmp_path) as server, fault_proxy(server.url) as proxy:

        def put(path: str) -> list[str]:
            before = len(proxy.rules.requests)
            assert objects_at(proxy.url).put(path, b"{}", replaces=None)
            return [each.method for each in proxy.rules.requests[before:]]

        made = put("a/b/1.json")
        assert (made[0], made[-1]) == ("PUT", "PUT")
        assert "MKCOL" in made
        assert put("a/b/2.json") == ["PUT"]
        assert put("a/3.json") == ["PUT"]
        assert (server.root / "a" / "b" / "1.json").read_bytes() == b"{}"


def test_one_thread_makes_the_folder_that_others_write_into(tmp_path: Path) -> None:
    with nginx(tmp_path) as server, fault_proxy(server.url) as proxy:
        proxy.rules.set_round_trip(0.02)  # so that they all begin before the first has ended
        objects = objects_at(proxy.url)
        together = [partial(objects.put, f"a/b/{number}.json", b"{}", replaces=None)
                    for number in range(8)]  # fmt: skip
        assert all_at_once(*together) == [True] * 8
        methods = [each.method for each in proxy.rules.requests]
    assert methods.count("PUT") == 8 + 1
    assert methods.count("MKCOL") == 3  # b, which a is missing for, a, and b


def test_a_server_that_refuses_to_write_is_reported_as_before(url: str, web: PlainWeb) -> None:
    web.statuses = {"PUT": 403, "MKCOL": 403, "PROPFIND": 207}
    with pytest.raises(RepositoryError, match="returned 403"):
        objects_at(url).put("a/1.json", b"{}", replaces=None)
