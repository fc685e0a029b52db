"""What refusals of web servers mean, and which of them pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ign_deploy.errors import NetworkError, RepositoryError
from ign_deploy.repositories.backends.object_store import Name
from tests.support.fault_proxy import fault_proxy
from tests.support.faults import AnswerInstead
from tests.support.servers import nginx
from tests.support.serving import serving
from tests.support.transfers import Counter
from tests.unit.repositories.backends.http.objects import file_of, objects_at
from tests.unit.repositories.backends.http.plain_web import PLAIN, PlainWeb


@pytest.mark.parametrize("method", ["PUT", "PROPFIND", "DELETE"])
def test_a_momentary_lock_is_waited_for(tmp_path: Path, method: str) -> None:
    with nginx(tmp_path) as server, fault_proxy(server.url) as proxy:
        objects = objects_at(proxy.url)
        objects.probe()
        rule = proxy.rules.add(AnswerInstead(423), method=method, times=2)
        assert objects.put("a/x", b"1", replaces=None)
        assert objects.names("a") == [Name("x", is_folder=False)]
        objects.delete("a/x")
        assert rule.hits == 2


def test_a_listing_that_was_cut_short_is_requested_again(tmp_path: Path) -> None:
    """rclone ends it where a file was just replaced; what stays broken is no empty folder."""
    with nginx(tmp_path) as server, fault_proxy(server.url) as proxy:
        objects = objects_at(proxy.url)
        objects.put("a/x", b"1", replaces=None)
        half = AnswerInstead(207, body=b'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">')
        rule = proxy.rules.add(half, method="PROPFIND", path="/a/", times=2)
        assert objects.names("a") == [Name("x", is_folder=False)]
        assert rule.hits == 2
        proxy.rules.add(half, method="PROPFIND", path="/a/", times=None)
        with pytest.raises(RepositoryError, match="not plain XML"):
            objects.names("a")


@pytest.mark.parametrize("status", [405, 500, 507])
def test_a_full_disk_is_among_the_hints(url: str, web: PlainWeb, status: int) -> None:
    """rclone says 405, nginx 500; only some say 507."""
    web.known, web.lists = PLAIN, True
    objects = objects_at(url)
    objects.probe()
    web.statuses = {"PUT": status}
    with pytest.raises((RepositoryError, NetworkError)) as caught:
        objects.put("x", b"1", replaces=None)
    assert re.search("free space|disk is full", caught.value.hint)


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (401, "token or password is missing", "REPOSITORY_API_TOKEN"),
        (403, "lacks the permission", "grant the account"),
        (404, "doesn't exist", "check the path"),
        (405, "doesn't support", "WebDAV"),
        (409, "parent folder is missing", "create the repository's folder"),
        (413, "too large", "client_max_body_size"),
        (423, "lock", "release the lock"),
        (501, "doesn't support", "WebDAV"),
        (507, "full", "free space"),
        (418, "not expected", "server's log"),
    ],
)
def test_a_refused_upload_says_what_to_do(
    tmp_path: Path, status: int, message: str, hint: str
) -> None:
    web = PlainWeb(known=PLAIN, statuses={"PUT": status})
    path = tmp_path / "a.modl"
    file = file_of(path, b"content")
    with serving(web):
        with pytest.raises(RepositoryError, match=message) as refused:
            objects_at(web.url).send("a.modl", path, expected=file, progress=Counter())
        with pytest.raises(RepositoryError, match=message):
            objects_at(web.url).put("x", b"1", replaces=None)
    assert f"returned {status}" in refused.value.message
    assert hint in refused.value.hint
