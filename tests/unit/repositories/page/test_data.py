from __future__ import annotations

import pytest

from ign_deploy.repositories.page import no_versions, page_version
from ign_deploy.repositories.page.data import SHOWN, ignition_line
from ign_deploy.repositories.record import Release
from tests.support.page_samples import SUBJECT, meter_releases, page_module, release


def numbers(*versions: tuple[Release, str | None]) -> list[str]:
    return [version["version"] for version in page_module(versions)["versions"]]


def of(version: str, yanked: str | None = None, **changes: object) -> tuple[Release, str | None]:
    return release("com.acme.thing", version, **changes), yanked


def test_a_version_shows_what_its_record_says() -> None:
    record = release("com.acme.thing", "1.2.0")
    version = page_version(record, folder="modules/com.acme.thing/1.2.0", yanked=None)
    assert version == {
        "commit": record.commit,
        "dependencies": [{"id": "com.inductiveautomation.opcua", "required": True, "scope": "G"}],
        "file": {
            "name": "com.acme.thing-1.2.0.modl",
            "role": "module",
            "sha256": record.module_file.sha256,
            "size": 12_345_678,
        },
        "folder": "modules/com.acme.thing/1.2.0",
        "framework": "8",
        "free": False,
        "ignition": "8.3.0",
        "licence_crc": 3_735_928_559,
        "line": "8.3",
        "notes": record.notes,
        "others": [
            {
                "name": "sbom.cdx.json",
                "role": "sbom",
                "sha256": record.module_file.sha256,
                "size": 9,
            }
        ],
        "published_at": "2026-10-31T21:07:00Z",
        "scopes": ["G", "DC"],
        "signer": {"sha1": "0f" * 20, "sha256": "5c" * 32, "subject": SUBJECT},
        "stage": "final",
        "tags": ["staging", "production"],
        "version": "1.2.0",
        "yanked": None,
    }


@pytest.mark.parametrize(
    ("folder", "url"),
    [
        ("modules/a/1.0.0+b_1", "modules/a/1.0.0%2Bb_1"),
        ("a b/ä#?", "a%20b/%C3%A4%23%3F"),
        ("//elsewhere/a", "elsewhere/a"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
        ("50%2F/", "50%252F"),
    ],
)
def test_a_folder_becomes_a_relative_url(folder: str, url: str) -> None:
    assert page_version(of("1.0.0")[0], folder=folder, yanked=None)["folder"] == url


@pytest.mark.parametrize(
    ("version", "stage"),
    [
        ("1.0.0", "final"),
        ("1.0.0.7", "final"),
        ("1.0.0-rc1", "prerelease"),
        ("dev", "prerelease"),
        ("1.0.0-alpha.1", "malformed"),
        ("1.0", "malformed"),
    ],
)
def test_the_stage_says_whether_a_gateway_can_install_it(version: str, stage: str) -> None:
    assert page_version(of(version)[0], folder="x", yanked=None)["stage"] == stage


@pytest.mark.parametrize(
    ("required", "line"),
    [
        ("8.3.0", "8.3"),
        ("8.1", "8.1"),
        ("8.10.2-rc1", "8.10"),
        ("8.3-beta1", "8.3"),
        ("", ""),
        ("8", ""),
        ("8.3x", ""),
        ("８.３.0", ""),
        ("9" * 5_000 + ".1", ""),
    ],
)
def test_the_line_is_major_and_minor(required: str, line: str) -> None:
    assert ignition_line(required) == line


def test_versions_are_ordered_as_a_gateway_orders_them_newest_first() -> None:
    shuffled = ("1.9.0", "1.10.0", "1.10.0-rc2", "0.1", "1.10.0-rc10")
    assert numbers(*map(of, shuffled)) == ["1.10.0", "1.10.0-rc10", "1.10.0-rc2", "1.9.0", "0.1"]


def test_the_texts_are_of_the_newest_final_version_that_is_not_yanked() -> None:
    module = page_module(
        [
            of("1.0.0", name="old"),
            of("1.1.0", name="good", description="d", tags=["t"]),
            of("1.2.0", "broken", name="yanked"),
            of("2.0.0-rc1", name="to come"),
        ]
    )
    assert (module["latest"], module["name"], module["description"]) == ("1.1.0", "good", "d")
    assert module["tags"] == ["t"]
    assert module["versions"][1]["yanked"] == "broken"


def test_without_a_usable_final_version_the_texts_are_of_the_newest_usable_one() -> None:
    assert page_module([of("1.0.0", "", name="a"), of("2.0.0-rc1", name="b")])["name"] == "b"
    assert page_module([of("2.0.0", "", name="a"), of("1.0.0-rc1", name="b")])["name"] == "b"
    assert page_module([of("2.0.0", "", name="a"), of("1.0.0-rc1", "", name="b")])["name"] == "a"


def test_a_reason_that_is_empty_is_a_reason() -> None:
    assert page_module([of("1.0.0", "")])["versions"][0]["yanked"] == ""


def test_the_newest_are_kept_and_the_newest_usable_of_each_line() -> None:
    module = page_module(meter_releases())
    shown = [version["version"] for version in module["versions"]]
    assert module["count"] == 15
    assert shown == [
        "3.0.0-rc1", "2.12.0", *(f"2.{minor}.0" for minor in range(11, 4, -1)), "1.9.4",
    ]  # fmt: skip
    assert len(shown) == SHOWN


def test_the_latest_is_kept_beyond_many_prereleases() -> None:
    candidates = [of(f"2.0.0-rc{number}") for number in range(1, 30)]
    shown = numbers(of("1.0.0"), *candidates)
    assert shown[-1] == "1.0.0"
    assert len(shown) == SHOWN


def test_more_lines_than_are_kept_leave_the_newest() -> None:
    lines = [of(f"{n}.0.0", required_ignition_version=f"8.{n}.0") for n in range(1, 20)]
    assert numbers(*lines) == [f"{n}.0.0" for n in range(19, 9, -1)]


def test_long_texts_are_cut_and_say_so() -> None:
    long = "x" * 100_000
    module = page_module(
        [of("1.0.0", long, name=long, description=long, notes=long, tags=[long] * 500)]
    )
    assert module["name"] == "x" * 200 + "… (99800 more characters)"
    assert len(module["tags"]) == 50
    assert sum(map(len, module["tags"])) < 20_000
    version = module["versions"][0]
    assert len(version["notes"]) < 10_000
    assert version["yanked"] is not None
    assert len(version["yanked"]) < 3_000


def test_a_module_without_versions_is_taken_off_the_page() -> None:
    assert no_versions("com.acme.thing")["versions"] == []
