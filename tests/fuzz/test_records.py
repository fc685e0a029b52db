from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.index import parse_module_index
from ign_deploy.repositories.record import Release, is_safe_component, make_release, parse_release
from ign_deploy.repositories.root_index import parse_root_index
from tests.support.releases import release_fields

SOUND = make_release(**release_fields()).to_json()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=8,
)


def read_or_refuse(data: bytes) -> Release | RepositoryError:
    try:
        return parse_release(data, location="x")
    except RepositoryError as caught:
        return caught


def read(data: bytes) -> None:
    """Read a record: it is refused, or sound and written back without loss."""
    release = read_or_refuse(data)
    if isinstance(release, RepositoryError):
        assert release.message.isprintable()
        return
    assert is_safe_component(release.id)
    assert is_safe_component(release.version)
    assert all("/" not in file.name for file in release.files)
    assert parse_release(release.to_json(), location="x") == release


@given(st.binary(max_size=400))
def test_any_bytes_are_rejected_or_read(data: bytes) -> None:
    read(data)
    parse_module_index(data)
    parse_root_index(data)


@given(st.integers(0, len(SOUND) - 1), st.binary(max_size=6), st.integers(0, 6))
def test_a_damaged_record_is_rejected_or_read(location: int, put: bytes, dropped: int) -> None:
    read(SOUND[:location] + put + SOUND[location + dropped :])


@given(st.sampled_from([*release_fields(), "later", "tags", "build", "dependencies"]), VALUES)
def test_a_record_with_any_value_in_a_field_is_rejected_or_read(name: str, value: object) -> None:
    read(json.dumps(release_fields() | {name: value}).encode())


@given(
    st.sampled_from(["name", "sha256", "size", "role", "later"]),
    VALUES | st.from_regex(r"[A-Za-z0-9./\\_+-]{1,12}"),
)
def test_a_record_with_any_value_in_a_file_is_rejected_or_read(name: str, value: object) -> None:
    fields = release_fields()
    fields["files"][0][name] = value
    read(json.dumps(fields).encode())


@given(VALUES, VALUES)
def test_any_json_as_index_is_ignored_or_read(files: object, tags: object) -> None:
    index = {
        "description": "",
        "files": files,
        "id": "a",
        "latest": "",
        "meta": {"api-version": "1.0"},
        "name": "",
        "tags": tags,
        "versions": [],
    }
    parse_module_index(json.dumps(index).encode())
    parse_root_index(json.dumps({"meta": {"api-version": "1.0"}, "modules": files}).encode())
