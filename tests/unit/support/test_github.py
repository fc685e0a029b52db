"""The simulated GitHub is strict: what the real one wouldn't take fails the test."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import requests

from tests.support.github.server import WRITER, GitHub, github_simulator

HEADERS = {
    "Authorization": f"Bearer {WRITER}",
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
}


def ask(simulator: GitHub, method: str, path: str, **options: Any) -> requests.Response:
    options.setdefault("headers", HEADERS)
    url = f"{simulator.url}/repos/acme/modules/{path}"
    return requests.request(method, url, timeout=30, allow_redirects=False, **options)


def draft(simulator: GitHub, tag: str = "v1") -> dict[str, Any]:
    answer = ask(simulator, "POST", "releases", json={"tag_name": tag, "draft": True})
    assert answer.status_code == 201
    made: dict[str, Any] = answer.json()
    return made


@pytest.mark.parametrize(
    ("method", "path", "options", "words"),
    [
        ("GET", "releases", {"headers": {"Accept": "x"}}, "no X-GitHub-Api-Version"),
        ("POST", "releases", {"json": {"tag_name": "v1", "tag": "v1"}}, "unknown field tag"),
        ("POST", "releases", {"json": {"name": "v1"}}, "tag_name"),
        ("POST", "releases", {"json": {"tag_name": "v1", "make_latest": False}}, "POST"),
        ("GET", "commits", {}, "not in the subset"),
        ("PUT", "releases/1", {}, "not in the subset"),
    ],
)
def test_what_the_description_doesn_t_know_is_a_violation(
    method: str, path: str, options: dict[str, Any], words: str
) -> None:
    def wrong() -> None:
        with github_simulator() as simulator, suppress(requests.ConnectionError):
            ask(simulator, method, path, **options)

    with pytest.raises(AssertionError, match=words):
        wrong()


def test_credentials_at_the_host_of_the_files_are_a_violation() -> None:
    def wrong() -> None:
        with github_simulator() as simulator:
            asset = simulator.repository.add_asset(draft(simulator)["id"], "x", b"x")
            headers = HEADERS | {"Accept": "application/octet-stream"}
            answer = ask(simulator, "GET", f"releases/assets/{asset.id}", headers=headers)
            target = answer.headers["Location"]
            answers.append((answer.status_code, requests.get(target, timeout=30).content))
            requests.get(target, headers=HEADERS, timeout=30)

    answers: list[tuple[int, bytes]] = []
    with pytest.raises(AssertionError, match="credentials sent to the host"):
        wrong()
    assert answers == [(302, b"x")]


def test_drafts_are_many_for_a_tag_but_one_is_published() -> None:
    with github_simulator() as simulator:
        first, second = draft(simulator), draft(simulator)
        assert ask(simulator, "GET", "releases/tags/v1").status_code == 404
        published = ask(simulator, "PATCH", f"releases/{second['id']}", json={"draft": False})
        assert published.status_code == 200
        refused = ask(simulator, "PATCH", f"releases/{first['id']}", json={"draft": False})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["code"] == "already_exists"
        assert ask(simulator, "GET", "releases/tags/v1").json()["id"] == second["id"]


def test_listings_have_pages_and_say_so() -> None:
    with github_simulator() as simulator:
        for _ in range(3):
            draft(simulator)
        first = ask(simulator, "GET", "releases?per_page=2&page=1")
        last = ask(simulator, "GET", "releases?per_page=2&page=2")
        assert (len(first.json()), len(last.json())) == (2, 1)
        assert 'rel="next"' in first.headers["Link"]
        assert "Link" not in last.headers
        # Drafts are for those who may write.
        anonymous = {name: text for name, text in HEADERS.items() if name != "Authorization"}
        simulator.repository.private = False
        assert ask(simulator, "GET", "releases", headers=anonymous).json() == []
