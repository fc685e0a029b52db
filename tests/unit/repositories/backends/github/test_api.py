from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ign_deploy.errors import RepositoryError
from ign_deploy.net.response import Response
from ign_deploy.repositories.backends.github.api import (
    ASSETS,
    ENTRIES,
    REFS,
    RELEASE,
    RELEASES,
    REPOSITORY,
    SHA,
    TREE,
    Asset,
    github_error,
    github_reason,
)

ALL = (ASSETS, ENTRIES, REFS, RELEASE, RELEASES, REPOSITORY, SHA, TREE)
SECRET = "never-to-be-shown"
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["message", "errors", "id", "name", "state", "tree", "ref", "sha", "path",
                         "assets", "draft", "field", "code", "type", "size"]),
        inner, max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


def response(body: bytes, status: int = 200) -> Response:
    return Response(status, body=body, title="reading", error=RepositoryError)


@given(VALUES, st.sampled_from(ALL))
def test_any_response_is_parsed_or_refused(value: Any, kind: TypeAdapter[Any]) -> None:
    with suppress(RepositoryError):
        response(json.dumps(value).encode()).parse(kind)


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_rejection_is_one_short_printable_line(body: bytes) -> None:
    said = github_reason(response(body, 422))
    assert said.isprintable()
    assert len(said) <= 300
    for status in (401, 403, 404, 409, 422):
        problem = github_error(response(body, status))
        assert problem.message.isprintable()
        assert problem.hint


def test_a_response_s_values_are_never_repeated() -> None:
    body = json.dumps([{"id": SECRET, "name": [SECRET], "state": 1}]).encode()
    with pytest.raises(RepositoryError) as refused:
        response(body).parse(ASSETS)
    assert SECRET not in refused.value.message
    assert refused.value.__cause__ is None


def test_unknown_fields_are_ignored() -> None:
    assert response(b'{"sha": "a", "new": {"x": 1}}').parse(SHA).sha == "a"


def test_github_s_own_reason_is_shown() -> None:
    body = {
        "message": "Validation Failed",
        "errors": [{"code": "already_exists", "field": "tag_name"}, {"message": "too\nlong"}, 7],
    }
    said = github_reason(response(json.dumps(body).encode(), 422))
    assert said == "Validation Failed; tag_name already_exists; too long"
    assert github_reason(response(b"<html>")) == ""
    assert github_reason(response(b"[1]")) == ""


@pytest.mark.parametrize(
    ("state", "size", "digest", "same"),
    [
        ("uploaded", 1, "sha256:aa", True),
        ("uploaded", 1, None, True),
        ("uploaded", 2, None, False),
        ("uploaded", 1, "sha256:bb", False),
        ("starter", 1, None, False),
        ("open", 1, "sha256:aa", False),
    ],
)
def test_a_file_is_whole_only_if_everything_stated_fits(
    state: str, size: int, digest: str | None, same: bool
) -> None:
    asset = Asset(id=1, name="x", state=state, size=size, digest=digest)
    assert asset.holds(size=1, sha256="aa") is same
