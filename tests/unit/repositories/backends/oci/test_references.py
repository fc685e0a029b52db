"""Tags: every version and every path has one of its own, which is valid and read back."""

from __future__ import annotations

import re
from string import ascii_letters, digits

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.backends.oci.references import (
    IMMUTABILITY_TAG,
    FolderTags,
    claim_tag,
    document_tag,
    parse_version_tag,
    version_tag,
)
from ign_deploy.repositories.record import is_safe_component
from ign_deploy.repositories.store import Key

VALID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
COMPONENTS = st.text(ascii_letters + digits + "._+-", min_size=1, max_size=40).filter(
    is_safe_component
)
NAMES = st.text(min_size=1, max_size=80).filter(lambda text: "/" not in text and text.isprintable())


@given(COMPONENTS, COMPONENTS)
def test_a_versions_tag_is_valid_and_read_back(module_id: str, version: str) -> None:
    key = Key(module_id, version)
    try:
        tag = version_tag(key)
    except RepositoryError:
        assume(False)
    assert VALID.fullmatch(tag)
    assert VALID.fullmatch(claim_tag(key))
    assert not tag.startswith("_")
    assert claim_tag(key).startswith("_")
    assert parse_version_tag(tag) == key
    assert parse_version_tag(claim_tag(key)) is None


@given(st.text(ascii_letters + digits + "._-", max_size=60) | st.text(max_size=30))
def test_a_tag_that_is_read_as_a_version_is_the_one_that_it_is_written_as(tag: str) -> None:
    key = parse_version_tag(tag)
    if key is not None:
        assert version_tag(key) == tag


@given(st.lists(NAMES, min_size=1, max_size=3))
def test_a_documents_tag_is_valid_and_its_name_is_read_back(parts: list[str]) -> None:
    path = "/".join(parts)
    folder, _, name = path.rpartition("/")
    tag = document_tag(path)
    assert VALID.fullmatch(tag)
    assert tag.startswith("_")
    assert parse_version_tag(tag) is None
    tags = FolderTags(folder)
    assert tags.is_hashed(tag) or tags.name(tag) == name
    for other in ("", "ledger", f"{folder}x", f"{folder}/x"):
        if other != folder:
            assert FolderTags(other).name(tag) is None
            assert not FolderTags(other).is_hashed(tag)


@given(st.lists(NAMES, min_size=2, max_size=2, unique=True))
def test_two_documents_have_two_tags(paths: list[str]) -> None:
    assert document_tag(paths[0]) != document_tag(paths[1])


def test_tags_can_be_read_by_people() -> None:
    assert version_tag(Key("com.acme.pump", "1.2.0")) == "com.acme.pump_v1.2.0"
    assert version_tag(Key("a_b", "1.0+7")) == "a__b_v1.0_p7"
    assert document_tag("modules/com.acme/index.json") == "_d.modules_scom.acme_sindex.json"


@pytest.mark.parametrize(
    "tag",
    [
        "latest", "1.2.0", "v1.0", "a_v", "_v1", "a_v1_v2", "a_x_v1", "a___v", "-a_v1", "a_v.",
        "a_v..", "a..b_v1", "release.json_v1", "sha256-abc.sig", IMMUTABILITY_TAG, "", "a_v1\n",
        "ä_v1",
    ],
)  # fmt: skip
def test_a_tag_that_is_not_ours_is_no_version(tag: str) -> None:
    assert parse_version_tag(tag) is None


def test_what_is_too_long_for_a_tag_is_rejected_with_its_length() -> None:
    longest = Key("a" * 60, "1" * 63)
    assert len(claim_tag(longest)) == 128
    with pytest.raises(RepositoryError, match="126 characters") as caught:
        version_tag(Key("a" * 61, "1" * 63))
    assert "shorten" in caught.value.hint
    assert not [tag for tag in ["_d." + "a" * 200] if FolderTags("b").name(tag)]


@pytest.mark.parametrize(
    "tag", ["_d.a_xff", "_d.a_x41", "_d.a_sb", "_d.", "_d.a_y", "_d.a_x2f", "_d.a_x", "other"]
)
def test_a_untrusted_spelling_is_no_document(tag: str) -> None:
    assert FolderTags("").name(tag) is None
