"""The simulator has GitLab's traps, and is strict."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support.gitlab_packages import DEVELOPER, GitLab, Switches, gitlab

PATH = "a/b"
TOKEN = {"PRIVATE-TOKEN": "t"}


@pytest.fixture
def server() -> Iterator[GitLab]:
    with gitlab() as running:
        running.add_project(PATH)
        running.add_token("t")
        yield running


def ask(server: GitLab, method: str, path: str, **options: Any) -> requests.Response:
    options.setdefault("headers", TOKEN)
    options.setdefault("allow_redirects", False)
    with requests.Session() as session:
        session.trust_env = False
        url = f"{server.api}/projects/a%2Fb{path}"
        return session.request(method, url, timeout=10, **options)


def upload(server: GitLab, data: bytes, name: str = "f.txt", **options: Any) -> requests.Response:
    path = f"/packages/generic/p/1.0/{name}?select=package_file"
    return ask(server, "PUT", path, data=data, **options)


def test_the_newest_of_a_name_is_served_and_all_are_listed(server: GitLab) -> None:
    first = upload(server, b"one").json()
    second = upload(server, b"two").json()
    assert first["id"] < second["id"]
    assert ask(server, "GET", "/packages/generic/p/1.0/f.txt").content == b"two"
    files = ask(server, "GET", f"/packages/{first['package_id']}/package_files").json()
    assert [each["id"] for each in files] == [first["id"], second["id"]]
    old = f"/packages/{first['package_id']}/package_files/{first['id']}"
    assert ask(server, "GET", f"{old}/download").content == b"one"
    assert ask(server, "DELETE", old).status_code == 204
    assert ask(server, "DELETE", old).status_code == 404


def test_a_number_is_given_before_the_file_can_be_seen(server: GitLab) -> None:
    upload(server, b"there", "x.txt")
    delays = iter([0.5, 0.0])
    server.switches.commit_delay = lambda: next(delays)
    slow = threading.Thread(target=upload, args=(server, b"slow"))
    slow.start()
    end = time.monotonic() + 10
    while len(server.registry.packages[0].files) < 2:
        assert time.monotonic() < end
        time.sleep(0.005)
    fast = upload(server, b"fast").json()
    assert ask(server, "GET", "/packages/generic/p/1.0/f.txt").content == b"fast"
    slow.join()
    (number,) = [each.id for each in server.registry.packages[0].files if each.data == b"slow"]
    assert number < fast["id"]


@pytest.mark.parametrize(("unique", "packages"), [(True, 1), (False, 2)])
def test_two_first_uploads_at_once(unique: bool, packages: int) -> None:
    switches = Switches(commit_delay=lambda: 0.3, unique_index=unique)
    with gitlab(switches=switches) as server:
        server.add_project(PATH)
        server.add_token("t")
        threads = [threading.Thread(target=upload, args=(server, b"%d" % n)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        listed = ask(server, "GET", "/packages?package_type=generic&package_name=P").json()
        assert len(listed) == packages


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/packages?kind=generic"),
        ("GET", "/packages?per_page=101"),
        ("PUT", "/packages/generic/p/1..0/f.txt"),
        ("PUT", "/packages/generic/p%20q/1.0/f.txt"),
        ("PUT", "/packages/generic/p/1.0/~f.txt"),
    ],
)
def test_what_gitlab_does_not_take_is_rejected(server: GitLab, method: str, path: str) -> None:
    assert ask(server, method, path, data=b"x").status_code == 400


def test_an_upload_without_a_length_is_rejected(server: GitLab) -> None:
    assert upload(server, iter([b"x"])).status_code == 411  # type: ignore[arg-type]
    assert server.files(PATH) == {}


def test_only_maintainers_delete(server: GitLab) -> None:
    server.add_token("d", roles={PATH: DEVELOPER})
    file = upload(server, b"x", headers={"PRIVATE-TOKEN": "d"}).json()
    path = f"/packages/{file['package_id']}/package_files/{file['id']}"
    assert ask(server, "DELETE", path, headers={"PRIVATE-TOKEN": "d"}).status_code == 403
    assert ask(server, "DELETE", path).status_code == 204


def test_the_object_storage_refuses_tokens(server: GitLab) -> None:
    upload(server, b"x")
    server.switches.redirect_downloads = True
    target = ask(server, "GET", "/packages/generic/p/1.0/f.txt").headers["Location"]
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(target, headers=TOKEN, timeout=10).status_code == 400
        assert session.get(target, timeout=10).content == b"x"
    assert server.storage.leaks == ["PRIVATE-TOKEN"]
