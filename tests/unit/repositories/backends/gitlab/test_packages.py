from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.repositories.backends.gitlab.packages import (
    DOCUMENTS,
    claim_generation,
    claim_name,
    decode,
    document_version,
    encode,
    file_path,
)
from ign_deploy.repositories.record import is_safe_component

# GitLab's lib/gitlab/regex/packages.rb, and the older form of the version in its documentation.
NAME = re.compile(r"[A-Za-z0-9._\-+]+")
VERSION = re.compile(r"(?!.*\.\.)[A-Za-z0-9_+.-]+")
DOCUMENTED_VERSION = re.compile(r"(\.?[\w+-]+\.?)+", re.ASCII)
FILE = re.compile(r"(?!~)[A-Za-z0-9._\-+~]+(?<!~)")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(TEXT)
def test_every_text_comes_back(text: str) -> None:
    assert decode(encode(text)) == text


@given(TEXT.filter(bool))
def test_every_folder_and_name_is_valid_for_gitlab(text: str) -> None:
    assert VERSION.fullmatch(document_version(text))
    assert DOCUMENTED_VERSION.fullmatch(document_version(text))
    assert FILE.fullmatch(encode(text))


@given(TEXT, TEXT)
def test_two_folders_never_share_a_version(one: str, other: str) -> None:
    assert (document_version(one) == document_version(other)) == (one == other)


@given(st.text("ab+.2EF%/-_", max_size=12))
def test_a_untrusted_name_is_none_or_what_we_write(name: str) -> None:
    text = decode(name)
    assert text is None or encode(text) == name


def test_folders_are_readable() -> None:
    assert document_version("") == "root"
    assert document_version("root") != "root"
    assert document_version("modules/com.acme.thing") == "modules+2Fcom.acme.thing"
    assert document_version("ledger/status-events/a..b.") == "ledger+2Fstatus-events+2Fa.+2Eb+2E"


def test_no_module_can_have_the_documents_package() -> None:
    assert NAME.fullmatch(DOCUMENTS)
    assert not is_safe_component(DOCUMENTS)


@pytest.mark.parametrize("text", ["com.acme.thing", "1.0.0+build_7-rc.1", "a-1.0.0.modl"])
def test_what_our_records_allow_gitlab_allows(text: str) -> None:
    assert is_safe_component(text)
    for grammar in (NAME, VERSION, DOCUMENTED_VERSION, FILE):
        assert grammar.fullmatch(text)


@given(st.integers(0, 999_999), st.text("0123456789abcdef", min_size=1, max_size=64))
def test_a_claim_names_its_generation(generation: int, holder: str) -> None:
    name = claim_name(generation, holder)
    assert FILE.fullmatch(name)
    assert claim_generation(name) == generation


@pytest.mark.parametrize(
    "name",
    [
        "claim-0.json",
        "claim--1-a.json",
        "claim-01-a.json",
        "claim-1234567-a.json",
        "claim-0-.json",
        "claim-٣-a.json",
        "claim-0-a.json.bak",
        "xclaim-0-a.json",
        "release.json",
    ],
)
def test_other_files_are_no_claims(name: str) -> None:
    assert claim_generation(name) is None


def test_a_path_is_escaped() -> None:
    path = file_path("a+b", "1.0+x", "n.json")
    assert path == "/packages/generic/a%2Bb/1.0%2Bx/n.json"
