"""Challenges as registries send them, and as nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.repositories.backends.oci.challenges import (
    Challenge,
    actions_asked,
    parse_challenges,
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="store"', [("basic", {"realm": "store"})]),
        ("Negotiate", [("negotiate", {})]),
        (
            'Bearer realm="https://a/t",service="b c",scope="repository:x:pull,push"',
            [("bearer", {"realm": "https://a/t", "service": "b c",
                         "scope": "repository:x:pull,push"})],
        ),
        (
            r'Bearer Realm = "a\"b" , service=plain, Basic realm=x',
            [("bearer", {"realm": 'a"b', "service": "plain"}), ("basic", {"realm": "x"})],
        ),
        ('Bearer realm="one", realm="two"', [("bearer", {"realm": "one"})]),
        ('realm="of nothing"', []),
        ("", []),
        ('Bearer realm="open', [("bearer", {})]),
        ("=,;", []),
    ],
)  # fmt: skip
def test_challenges_are_read(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    found = [(each.scheme, dict(each.parameters)) for each in parse_challenges(header)]
    assert found == expected


@given(st.text(max_size=200))
def test_no_header_breaks_the_reading(header: str) -> None:
    assert all(isinstance(each, Challenge) for each in parse_challenges(header))


def test_a_very_long_header_is_cut() -> None:
    assert len(parse_challenges("Basic, " * 100_000)) < 2000


def test_only_the_actions_on_our_repository_count() -> None:
    scope = "repository:acme/m:pull,push repository:other:delete registry:catalog:*"
    assert actions_asked(scope, name="acme/m") == {"pull", "push"}
    assert actions_asked("repository:host:5000/acme/m:delete", name="acme/m") == set()
    assert actions_asked("", name="acme/m") == set()
