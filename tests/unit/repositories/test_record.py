from __future__ import annotations

import json
from typing import Any

import pytest

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.record import (
    MAX_RECORD_SIZE,
    FileRole,
    is_safe_component,
    make_release,
    parse_release,
)
from tests.support.releases import release_fields


def reading(document: object) -> RepositoryError:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(RepositoryError) as caught:
        parse_release(data, location="here/release.json")
    assert caught.value.message.startswith("here/release.json is not a valid release record: ")
    assert caught.value.__cause__ is None
    return caught.value


def test_a_record_is_written_the_same_whatever_the_order_of_its_fields() -> None:
    fields = release_fields()
    backwards = dict(reversed(fields.items()))
    data = make_release(**fields).to_json()
    assert make_release(**backwards).to_json() == data
    assert data.endswith(b"}\n")
    assert list(json.loads(data)) == sorted(json.loads(data))
    assert parse_release(data, location="x").to_json() == data


def test_a_record_is_utf8() -> None:
    assert "Größe ✓".encode() in make_release(**release_fields(), notes="Größe ✓").to_json()


def test_newer_fields_are_kept_at_every_level() -> None:
    fields = release_fields() | {"schema_version": 2, "later": {"x": [1, None, "é"]}}
    fields["files"][0]["sha512"] = "newer"
    fields["certificate"]["log_index"] = 17
    fields["files"].append({**fields["files"][0], "name": "vex.json", "role": "vex"})
    data = json.dumps(fields).encode()
    again = json.loads(parse_release(data, location="x").to_json())
    assert again["later"] == {"x": [1, None, "é"]}
    assert again["files"][0]["sha512"] == "newer"
    assert again["files"][1]["role"] == "vex"
    assert again["certificate"]["log_index"] == 17
    assert again["schema_version"] == 2


def test_the_file_of_a_role_is_found() -> None:
    release = make_release(**release_fields())
    assert release.file(FileRole.MODULE) == release.module_file
    assert release.file(FileRole.SBOM) is None


@pytest.mark.parametrize(
    "missing", ["id", "name", "version", "certificate", "files", "published_at"]
)
def test_a_missing_field_is_named(missing: str) -> None:
    fields = release_fields()
    del fields[missing]
    assert f"{missing}: Field required" in reading(fields).message


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 10_000, b"1", b'{"x": NaN}']
)
def test_what_is_no_json_object_is_rejected(data: bytes) -> None:
    reading(data)


def test_a_record_beyond_the_limit_is_rejected_unread() -> None:
    assert f"more than {MAX_RECORD_SIZE}" in reading(b" " * (MAX_RECORD_SIZE + 1)).message
    too_long = make_release(**release_fields(), notes="x" * MAX_RECORD_SIZE)
    with pytest.raises(RepositoryError, match="at most") as caught:
        too_long.to_json()
    assert "notes" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "location"),
    [
        ({"id": "../../etc"}, "id:"),
        ({"id": 7}, "id:"),
        ({"version": ".hidden"}, "version:"),
        ({"version": "1/2"}, "version:"),
        ({"schema_version": 0}, "schema_version:"),
        ({"schema_version": "1"}, "schema_version:"),
        ({"published_at": "yesterday"}, "published_at:"),
        ({"published_at": "2026-13-31T12:00:00Z"}, "published_at:"),
        ({"published_at": "2026-01-31T12:00:00+02:00"}, "published_at:"),
        ({"licence_crc": -1}, "licence_crc:"),
        ({"free": "yes"}, "free:"),
        ({"tags": "a"}, "tags:"),
        ({"dependencies": [{"scope": "G"}]}, "dependencies.0.id:"),
        ({"files": []}, "exactly one"),
        ({"certificate": {"subject": "x", "sha1": "a" * 40, "sha256": "B" * 64}}, "sha256:"),
    ],
)
def test_a_wrong_field_is_named_and_its_value_is_not_shown(
    changes: dict[str, Any], location: str
) -> None:
    problem = reading(release_fields() | changes)
    assert location in problem.message
    for value in changes.values():
        if isinstance(value, str) and len(value) > 3:
            assert value not in problem.message


@pytest.mark.parametrize(
    "name",
    ["../x.modl", "/etc/passwd", "a\\b", "", ".", "..", "release.json", "Index.json", "x\0", "x."],
)
def test_a_file_name_that_points_elsewhere_is_rejected(name: str) -> None:
    fields = release_fields()
    fields["files"][0]["name"] = name
    assert "files.0.name: " in reading(fields).message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", -1),
        ("size", 1.5),
        ("size", True),
        ("sha256", "a" * 63),
        ("sha256", "a" * 64 + "\n"),
    ],
)
def test_a_wrong_size_or_digest_is_rejected(key: str, value: object) -> None:
    fields = release_fields()
    fields["files"][0][key] = value
    assert f"files.0.{key}: " in reading(fields).message


def test_two_modules_or_one_name_twice_are_rejected() -> None:
    fields = release_fields()
    twice = {**fields["files"][0], "role": "bundle", "name": fields["files"][0]["name"].upper()}
    assert "a name twice" in reading(fields | {"files": [fields["files"][0], twice]}).message
    other = {**fields["files"][0], "name": "other.modl"}
    assert "exactly one" in reading(fields | {"files": [fields["files"][0], other]}).message


def test_a_hostile_key_is_shown_harmless() -> None:
    fields = release_fields()
    fields["build"] = {"\x1b[2J\u202e" + "k" * 500: 1}
    message = reading(json.dumps(fields).encode()).message
    assert message.isprintable()


@pytest.mark.parametrize(
    ("subject", "vendor"),
    [
        ("CN=Acme Automation GmbH,OU=Release,O=Acme,C=AT", "Acme"),
        ("CN=Signing 2026, O=Acme GmbH", "Acme GmbH"),
        ("CN=Acme Automation", "Acme Automation"),
        (r"O=Acme\, Inc. \"Line\" \\,CN=x", 'Acme, Inc. "Line" \\'),
        (r"CN=a\,O=forged,OU=O=forged\+O=forged", "a,O=forged"),
        ("UID=7+O=Acme,CN=x", "Acme"),
        ("O=,CN=x", "x"),
        ("C=AT", ""),
        ("", ""),
    ],
)
def test_the_vendor_is_who_signed(subject: str, vendor: str) -> None:
    certificate = {**release_fields()["certificate"], "subject": subject}
    assert make_release(**release_fields() | {"certificate": certificate}).certificate.vendor == (
        vendor
    )


def test_many_problems_are_summed_up() -> None:
    assert reading({"files": [{}] * 50}).message.count(";") <= 5
    assert "more" in reading({"files": [{}] * 50}).message


@pytest.mark.parametrize("text", ["com.acme.thing", "1.0.0-rc1", "1.0+build", "a", "a" * 200])
def test_ids_and_versions_are_safe_components(text: str) -> None:
    assert is_safe_component(text)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", ".a", "a.", "a..b", "-a", "_a", "a/b", "a\\b", "a b", "a\n", "ä", "a:b", "１",
     "a" * 201, "index.json", "RELEASE.JSON"],
)  # fmt: skip
def test_what_could_escape_or_collide_is_no_component(text: str) -> None:
    assert not is_safe_component(text)


def test_our_own_module_with_an_unsafe_id_is_explained() -> None:
    with pytest.raises(RepositoryError, match="can't be published: id: ") as caught:
        make_release(**release_fields(module_id="my module"))
    assert "correct the module's id" in caught.value.hint
