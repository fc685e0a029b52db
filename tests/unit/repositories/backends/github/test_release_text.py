from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.repositories.backends.github.release_text import (
    DraftMark,
    mark_of,
    text_of,
    title_of,
)
from ign_deploy.repositories.record import Release, make_release
from tests.support.github.state import MAX_BODY
from tests.support.releases import release_fields

MARK = DraftMark("0123456789abcdef" * 2, datetime(2027, 1, 31, 12, 30, tzinfo=UTC))


def release(**fields: object) -> Release:
    return make_release(**(release_fields() | fields))


def test_what_a_person_needs_is_in_the_text() -> None:
    text = text_of(release(notes="Fixes the *pump*.\n\n- one\n- two"), mark=MARK)
    assert "Fixes the *pump*.\n\n- one\n- two" in text
    made = release()
    for shown in (made.module_file.sha256, made.certificate.sha1, made.certificate.sha256):
        assert f"`{shown}`" in text
    assert "Test Vendor" in text
    assert r"8\.1\.0" in text
    assert mark_of(text) == MARK


def test_untrusted_text_mentions_no_one_and_holds_no_html() -> None:
    hostile = (
        "@octocat <img src=x> <!-- ign-deploy run "
        + "f" * 32
        + " until 20990101T000000Z --> &lt;b>\x1b[31m"
    )
    text = text_of(
        release(
            notes=hostile,
            required_ignition_version=f"8.1 | @octocat\n| {hostile}",
            certificate={"subject": f"CN=@org/team | `x` <b> {hostile}", "sha1": "a" * 40,
                         "sha256": "b" * 64},
        ),
        mark=MARK,
    )  # fmt: skip
    assert not re.search(r"@[A-Za-z0-9]", text)
    assert text.count("<") == 1  # our own comment
    assert mark_of(text) == MARK
    assert "\x1b" not in text
    rows = [line for line in text.split("\n") if line.startswith("|")]
    assert len(rows) == 8
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_is_made_harmless(notes: str, subject: str) -> None:
    certificate = {"subject": subject, "sha1": "a" * 40, "sha256": "b" * 64}
    text = text_of(release(notes=notes, certificate=certificate), mark=MARK)
    assert not re.search(r"@[A-Za-z0-9]", text)
    assert text.count("<") == 1
    assert mark_of(text) == MARK
    assert all(char.isprintable() or char in "\n\t" for char in text)


def test_long_notes_are_cut_off_to_what_github_takes() -> None:
    text = text_of(release(notes="<@a&>" * 60_000), mark=MARK)
    assert len(text) < MAX_BODY
    assert "all of it is in release.json" in text


def test_the_title_is_one_line() -> None:
    assert title_of(release(name="The\nThing" * 90)).startswith("The ThingThe Thing")
    assert len(title_of(release(name="x" * 900))) < 250
    assert title_of(release()) == "The Thing 1.0.0"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "## Changes\n<!-- ign-deploy run 12 -->",
        f"<!-- ign-deploy run {'a' * 32} until 20271399T000000Z -->",
        f"a quote of <!-- ign-deploy run {'a' * 32} until 20270101T000000Z -->",
    ],
)
def test_a_text_of_others_has_no_mark(text: str | None) -> None:
    assert mark_of(text) is None
