from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.backends.github.versions import key_of, module_prefix, tag_of
from ign_deploy.repositories.record import is_safe_component
from ign_deploy.repositories.store import Key
from tests.support.github.state import require_ref

COMPONENTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,90}(\.lock)?", fullmatch=True).filter(
    is_safe_component
)


@given(COMPONENTS, COMPONENTS)
def test_every_version_has_a_valid_tag_that_leads_back_to_it(module_id: str, version: str) -> None:
    key = Key(module_id, version)
    tag = tag_of(key)
    require_ref(f"refs/tags/{tag}")
    assert key_of(tag) == key
    assert tag.startswith(module_prefix(module_id))


@given(st.text(alphabet="modl/abv1.=+-lock_", max_size=30).map(lambda text: f"modl/{text}"))
def test_a_tag_stands_for_at_most_one_version(tag: str) -> None:
    key = key_of(tag)
    assert key is None or tag_of(key) == tag


@pytest.mark.parametrize(
    "key",
    [Key("com.acme.thing", "1.2.0"), Key("a", "1.0.0-rc1+b_5"), Key("x.lock", "1.lock"),
     Key("A-", "9")],
)  # fmt: skip
def test_git_itself_takes_the_tags(key: Key) -> None:
    ref = f"refs/tags/{tag_of(key)}"
    subprocess.run(["git", "check-ref-format", ref], check=True, timeout=30)


def test_the_tag_is_pleasant_to_read() -> None:
    assert tag_of(Key("com.acme.thing", "1.2.0")) == "modl/com.acme.thing/1.2.0"


@pytest.mark.parametrize(
    "tag",
    ["v1.2.0", "mcp-v1.2.0", "mcp/v1.2.0", "modl/", "modl/a", "modl/a/b/c", "modl//1", "modl/a/",
     "modl/a=/1", "modl/a.lock/1", "modl/../1", "modl/a/release.json", "MODL/a/1", "",
     "modl/a/" + "1" * 300],
)  # fmt: skip
def test_other_tags_are_not_ours(tag: str) -> None:
    assert key_of(tag) is None


def test_what_is_too_long_for_a_tag_is_rejected() -> None:
    with pytest.raises(RepositoryError, match="characters; at most") as caught:
        tag_of(Key("a" * 150, "1" * 150))
    assert "shorten" in caught.value.hint
