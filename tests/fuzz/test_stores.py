"""Documents in stores, and what users write of them: read, or refused with our errors alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import ConfigurationError
from ign_deploy.report import SilentReporter
from ign_deploy.repositories.access import split_store_url
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.claims import Claim, claim_bytes, parse_claim
from ign_deploy.repositories.index import (
    index_bytes,
    merge_module,
    parse_module_index,
    version_rows,
)
from ign_deploy.repositories.page import known_records, module_script
from ign_deploy.repositories.record import make_release
from ign_deploy.repositories.root_index import (
    make_root,
    module_entry,
    module_row,
    parse_root_index,
)
from ign_deploy.repositories.status_events import StatusEvent, read_states, status_folder
from ign_deploy.repositories.store import Document
from ign_deploy.repositories.versions import VersionRange
from tests.support.mutations import mutated
from tests.support.releases import release_fields

ID = "com.acme.thing"
RECORDS = {
    version: make_release(**release_fields(version=version)) for version in ("1.0.0", "1.1.0-rc1")
}
MODULE = merge_module(None, module_id=ID, present=RECORDS, read=RECORDS.get)
assert MODULE is not None
MODULE_BYTES = index_bytes(MODULE)
ROOT_BYTES = index_bytes(make_root((), added=[module_entry(MODULE)]))
CLAIM = claim_bytes(Claim("someone", 3, datetime(2026, 1, 1, tzinfo=UTC), RECORDS["1.0.0"]))
MARK = StatusEvent.model_validate(
    {
        "kind": "yanked",
        "id": ID,
        "version": "1.0.0",
        "sha256": "0" * 64,
        "reason": "bad",
        "by": "ann",
        "at": "2026-01-31T12:00:00Z",
    }
).to_json()
SCRIPT = module_script(MODULE, read=RECORDS.get)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=6,
)


class OneMark:
    """Documents that hold one status event."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, path: str) -> Document | None:
        """Return the status event, whatever is requested."""
        assert path.startswith(status_folder(ID))
        return Document(self._data)

    def write(self, *_: Any, **__: Any) -> bool:
        """Refuse."""
        return False

    def add(self, *_: Any) -> None:
        """Ignore it."""

    def names(self, _: str) -> list[str]:
        """Name the status event."""
        return ["a.json"]


def use_module(data: bytes) -> None:
    """Read a module's index; what was read can be shown, merged and written back."""
    index = parse_module_index(data)
    if index is None:
        return
    assert parse_module_index(index_bytes(index)) == index
    version_rows(index)
    if index["files"]:
        module_entry(index)
    merge_module(index, module_id=ID, present=RECORDS, read=RECORDS.get)


def what_is_said(read: Callable[[str], object], url: str) -> str:
    """Return the caught's words, none if there is no caught."""
    try:
        read(url)
    except ConfigurationError as caught:
        return caught.message + caught.hint
    return ""


@given(mutated([MODULE_BYTES]))
def test_a_damaged_module_index_is_ignored_or_used(data: bytes) -> None:
    use_module(data)


@given(st.sampled_from(sorted(MODULE)), VALUES)
def test_any_value_in_a_module_index_is_ignored_or_used(name: str, value: object) -> None:
    use_module(json.dumps({**json.loads(MODULE_BYTES), name: value}).encode())


@given(mutated([ROOT_BYTES]))
def test_a_damaged_root_index_is_ignored_or_used(data: bytes) -> None:
    index = parse_root_index(data)
    if index is not None:
        for entry in index["modules"]:
            module_row(entry)
        assert parse_root_index(index_bytes(index)) == index


@given(mutated([CLAIM]) | st.binary(max_size=100) | VALUES.map(lambda v: json.dumps(v).encode()))
def test_any_claim_is_read_or_counts_as_unfinished(data: bytes) -> None:
    claim = parse_claim(data, generation=3)
    assert claim.generation == 3
    if claim.release is not None:
        assert parse_claim(claim_bytes(claim), generation=3) == claim


@given(mutated([MARK]) | st.binary(max_size=100) | VALUES.map(lambda v: json.dumps(v).encode()))
def test_any_mark_is_left_out_or_counts(data: bytes) -> None:
    states = read_states(OneMark(data), ID, names=["a.json"], reporter=SilentReporter())
    assert len(states) <= 1


@given(mutated([SCRIPT]) | st.binary(max_size=100))
def test_a_damaged_script_gives_records_of_the_index_or_none(data: bytes) -> None:
    assert MODULE is not None
    for version, release in known_records(data, MODULE).items():
        assert (release.id, release.version) == (ID, version)
        assert release.module_file.sha256 == RECORDS[version].module_file.sha256


@given(
    st.text(max_size=40)
    | st.lists(
        st.sampled_from([">=", "<", "==", "!=", "1", "1.2", "1.2.3-rc1", ",", " ", "9" * 30]),
        max_size=8,
    ).map("".join),
    st.sampled_from(["1.0.0", "2.0.0-rc1", "x"]),
)
def test_any_range_is_rejected_or_decides(text: str, version: str) -> None:
    with suppress(ConfigurationError):
        VersionRange.parse(text).holds(version)


@given(
    st.text(max_size=40)
    | st.lists(
        st.sampled_from(
            ["https", "http", "file", "github", "gitlab", "oci", "nexus+https", "artifactory+http",
             ":", "//", "/", "[", "]", "@", "user:pw", "host", "127.0.0.1", ":0", ":99999", "?a=b",
             "#", "%2e%2e", "%00", "\x1b", "\u202e", "..", "é", "\ud800"]
        ),
        max_size=10,
    ).map("".join)
)  # fmt: skip
def test_any_url_is_opened_or_refused_without_being_shown(url: str) -> None:
    for read in (split_store_url, open_repository):
        said = what_is_said(read, url)
        assert said.isprintable()
        assert "user:pw" not in said
