"""Raw repositories of Nexus: its policies, privileges, pages, and a search that lags behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.backends.object_store import Name
from tests.support.nexus import Nexus, Policy
from tests.support.serving import Reply, scripted_server, serving
from tests.support.transfers import Counter
from tests.unit.repositories.backends.http.objects import Waits, all_at_once, file_of, objects_at

CLAIM = "modules/com.acme.thing/1.0.0/claim-0.json"


@pytest.fixture
def product() -> Iterator[Nexus]:
    with serving(Nexus()) as server:
        yield server


@pytest.fixture
def opened(product: Nexus) -> Callable[..., Any]:
    """Return what opens the objects of the simulated repository."""

    def at(path: str = "", **options: Any) -> Any:
        options = {
            "username": product.username, "password": product.password, **options
        }  # fmt: skip
        return objects_at(f"nexus+{product.repository}{path}", **options)

    return at


def test_disabled_redeploys_are_found_and_leave_nothing(
    product: Nexus, opened: Callable[..., Any]
) -> None:
    found = opened("/a folder").probe()
    assert (found.writable, found.create_once, found.server_digest, found.resume) == (True,) * 4
    assert found.remarks == ()
    assert found.location.endswith("/repository/modules/a%20folder")
    assert product.assets == {}


def test_allowed_redeploys_are_remarked_and_claims_are_timed(
    product: Nexus, opened: Callable[..., Any]
) -> None:
    product.policy = Policy.ALLOW
    waits = Waits()
    objects = opened(waits=waits)
    found = objects.probe()
    assert (found.writable, found.create_once) == (True, False)
    assert '"Disable redeploy"' in found.remarks[0]
    assert objects.create(CLAIM, b"1")
    assert waits.slept == [5.0]
    assert not opened(waits=waits).create(CLAIM, b"2")


def test_a_read_only_repository_is_an_obstacle(product: Nexus, opened: Callable[..., Any]) -> None:
    product.policy = Policy.READ_ONLY
    found = opened().probe()
    assert not found.writable
    assert "returned 400" in found.obstacle


def test_missing_privileges_are_named(product: Nexus, opened: Callable[..., Any]) -> None:
    product.privileges -= {"browse"}
    with pytest.raises(RepositoryError, match="returned 403") as refused:
        opened().probe()
    assert "nx-repository-view-raw-modules-*" in refused.value.hint
    product.privileges = frozenset({"browse", "read"})
    assert "returned 403" in opened().probe().obstacle
    product.privileges = frozenset({"browse", "read", "add", "edit"})
    assert "nx-repository-view-raw-modules-delete" in opened().probe().obstacle


def test_wrong_credentials_and_repositories_are_reported(
    product: Nexus, opened: Callable[..., Any]
) -> None:
    with pytest.raises(RepositoryError, match="returned 401") as refused:
        opened(password="hunter2").probe()
    assert "user token" in refused.value.hint
    assert "hunter2" not in refused.value.message + refused.value.hint
    with pytest.raises(RepositoryError, match="returned 404") as refused:
        opened("s").probe()
    assert "'moduless'" in refused.value.hint


def test_a_repository_of_another_format_is_rejected(
    product: Nexus, opened: Callable[..., Any]
) -> None:
    opened().put("x", b"1", replaces=None)
    product.format = "maven2"
    with pytest.raises(RepositoryError, match="format 'maven2', expected raw"):
        opened().probe()


def test_a_user_token_is_taken(product: Nexus) -> None:
    product.username, product.password = "code", "pass"
    assert objects_at(f"nexus+{product.repository}", token="code:pass").probe().writable


def test_a_claim_goes_to_one(product: Nexus, opened: Callable[..., Any]) -> None:
    claims = [partial(opened().create, CLAIM, b"%d" % number) for number in range(8)]
    results = all_at_once(*claims)
    assert sorted(map(bool, results)) == [False] * 7 + [True]
    assert opened().created(CLAIM) == b"%d" % results.index(True)


def test_documents_are_replaced_by_deleting_them_first(
    product: Nexus, opened: Callable[..., Any]
) -> None:
    objects = opened()
    assert objects.put("index.json", b"1", replaces=None)
    assert not objects.put("index.json", b"2", replaces=None)
    seen = objects.get("index.json", limit=10)
    assert (seen.data, seen.tag) == (b"1", "")
    assert objects.put("index.json", b"2", replaces=seen)
    assert objects.get("index.json", limit=10).data == b"2"


def test_another_run_that_writes_between_is_seen(product: Nexus) -> None:
    with scripted_server(Reply(400), Reply(200), Reply(204), Reply(400), Reply(200)) as server:
        server.methods = server.methods | {"HEAD", "DELETE"}
        objects = objects_at(f"nexus+{server.url}/repository/modules")
        assert not objects.put("index.json", b"2", replaces=_document())


def test_a_listing_pages_through_its_folder_only(
    product: Nexus, opened: Callable[..., Any]
) -> None:
    product.page = 3
    objects = opened("/prefix")
    for number in range(8):
        objects.put(f"modules/a/1.0.{number}/release.json", b"1", replaces=None)
        objects.put(f"other/b/{number}.json", b"1", replaces=None)
    objects.put("modules/a/index.json", b"1", replaces=None)
    objects.put("modules/a-b/1.0/release.json", b"1", replaces=None)
    fresh = opened("/prefix")
    product.requests.clear()
    names = fresh.names("modules/a")
    assert sorted(names) == [
        *(Name(f"1.0.{number}", is_folder=True) for number in range(8)),
        Name("index.json", is_folder=False),
    ]
    assert len(product.requests) == 4
    assert sorted(fresh.names("modules")) == [
        Name("a", is_folder=True),
        Name("a-b", is_folder=True),
    ]
    assert sorted(fresh.names("")) == [
        Name("modules", is_folder=True),
        Name("other", is_folder=True),
    ]
    assert opened("/elsewhere").names("modules/a") == []


def test_what_we_wrote_or_deleted_is_known_before_the_search_knows(
    product: Nexus, opened: Callable[..., Any]
) -> None:
    product.lag = 60.0
    objects = opened()
    objects.put("marks/a.json", b"1", replaces=None)
    assert objects.names("marks") == [Name("a.json", is_folder=False)]
    assert opened().names("marks") == []
    objects.delete("marks/a.json")
    assert objects.names("marks") == []


def test_a_file_is_compared_when_the_search_knows_it(
    product: Nexus, opened: Callable[..., Any], tmp_path: Path
) -> None:
    product.lag = 0.2
    path = tmp_path / "a.modl"
    file = file_of(path, b"content")
    waits = Waits(act=lambda: threading.Event().wait(0.1))
    opened(waits=waits).send("x/a.modl", path, expected=file, progress=Counter())
    assert waits.slept


def test_a_damaged_file_is_rejected(
    product: Nexus, opened: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "a.modl"
    file = file_of(path, b"content")
    objects = opened(waits=Waits(act=lambda: None))

    def damage() -> None:
        product.assets["x/a.modl"].data = b"CONTENT"

    with damaging(product, damage), pytest.raises(RepositoryError, match=r"holds a\.modl with SHA"):
        objects.send("x/a.modl", path, expected=file, progress=Counter())


def test_a_file_that_a_killed_run_left_is_kept_or_replaced(
    product: Nexus, opened: Callable[..., Any], tmp_path: Path
) -> None:
    left = file_of(tmp_path / "a.modl", b"left")
    opened().send("x/a.modl", tmp_path / "a.modl", expected=left, progress=Counter())
    number = product.assets["x/a.modl"].number
    counter = Counter()
    opened().send("x/a.modl", tmp_path / "a.modl", expected=left, progress=counter)
    assert counter.done == 4
    assert product.assets["x/a.modl"].number == number
    ours = file_of(tmp_path / "a.modl", b"ours!")
    counter = Counter()
    opened().send("x/a.modl", tmp_path / "a.modl", expected=ours, progress=counter)
    assert product.assets["x/a.modl"].data == b"ours!"
    assert counter.done == 5


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"items": 5}',
        b'{"items": [{"path": 5}]}',
        b'{"items": [{}], "continuationToken": null}',
    ],
)
def test_an_odd_response_is_rejected(page: bytes) -> None:
    with scripted_server(Reply(200, body=page)) as server:
        objects = objects_at(f"nexus+{server.url}/repository/modules")
        with pytest.raises(RepositoryError, match="sent an unexpected response"):
            objects.names("modules")


def test_hostile_names_are_left_out_and_pages_that_go_round_end() -> None:
    page = (
        b'{"items": [{"path": "modules/../../etc"}, {"path": "/modules/a/x"}, {"path": "other/y"},'
        b' {"path": "modules//z"}, {"path": "modules/\\u0000"}], "continuationToken": "again"}'
    )
    with scripted_server(Reply(200, body=page)) as server:
        objects = objects_at(f"nexus+{server.url}/repository/modules")
        assert objects.names("modules") == [Name("a", is_folder=True)]
        assert len(server.requests) == 4


@contextmanager
def damaging(product: Nexus, damage: Callable[[], None]) -> Iterator[None]:
    """Damage what is stored after each upload."""
    original = product._put

    def put(call: Any, path: str) -> Any:
        reply = original(call, path)
        damage()
        return reply

    product._put = put  # type: ignore[method-assign]
    yield


def _document() -> Any:
    from ign_deploy.repositories.store import Document

    return Document(b"1")
