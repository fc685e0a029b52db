from __future__ import annotations

import json

import pytest

from ign_deploy.repositories.index import index_bytes
from ign_deploy.repositories.record import Release
from ign_deploy.repositories.root_index import (
    ModuleEntry,
    make_root,
    module_entry,
    module_row,
    parse_root_index,
)
from tests.support.page_samples import (
    hostile_module,
    meter_releases,
    module_index,
    ordinary_modules,
    release,
)

MODULE = "com.acme.thing"


def entry_of(*versions: tuple[Release, str | None]) -> ModuleEntry:
    return module_entry(module_index(versions))


def test_a_line_names_the_newest_usable_version_of_each_line_of_ignition() -> None:
    entry = entry_of(*meter_releases())
    assert (entry["latest"], entry["count"]) == ("2.11.0", 15)
    assert entry["lines"] == {"8.1": "1.9.4", "8.3": "2.11.0"}


def test_a_line_of_ignition_with_prereleases_alone_has_the_newest_of_them() -> None:
    new = {"required_ignition_version": "8.9.0"}
    newer = {"required_ignition_version": "8.10.0"}
    entry = entry_of(
        (release(MODULE, "1.0.0", required_ignition_version=""), None),
        (release(MODULE, "2.0.0-rc1", **new), None),
        (release(MODULE, "2.0.0-rc2", **new), None),
        (release(MODULE, "2.0.0-rc3", **new), "bad"),
        (release(MODULE, "3.0.0", **newer), "bad"),
        (release(MODULE, "4.0.0", **newer), None),
    )
    assert list(entry["lines"].items()) == [("8.9", "2.0.0-rc2"), ("8.10", "4.0.0")]


def test_of_many_lines_of_ignition_the_newest_are_named() -> None:
    versions = [
        release(MODULE, f"{n}.0.0", required_ignition_version=f"8.{n}.0") for n in range(20)
    ]
    entry = entry_of(*((each, None) for each in versions))
    assert list(entry["lines"]) == [f"8.{n}" for n in range(12, 20)]


@pytest.mark.parametrize("module", ordinary_modules())
def test_a_modules_line_is_short(module: object) -> None:
    assert len(json.dumps(module.entry)) < 512  # type: ignore[attr-defined]


def test_whatever_a_module_says_its_line_is_bounded() -> None:
    entry = hostile_module().entry
    assert len(entry["name"]) == 100
    assert len(entry["description"]) == 200
    assert entry["name"].endswith("…")
    assert len(json.dumps(entry)) < 4_000


def test_texts_that_fit_are_kept_whole() -> None:
    entry = entry_of((release(MODULE, "1.0.0", name="n" * 100, description="d" * 200), "x" * 200))
    assert (entry["name"], entry["description"]) == ("n" * 100, "d" * 200)
    assert entry["yanked"] == "x" * 200
    assert module_row(entry).yanked == "x" * 200


def test_the_number_of_status_events_does_not_lengthen_a_line() -> None:
    index = module_index([(release(MODULE, "1.0.0"), None)])
    index["status_events"] = 9_999
    assert module_entry(index)["status_events"] == 9_999


def test_the_root_index_is_read_as_it_was_written() -> None:
    root = make_root((), added=[each.entry for each in reversed(ordinary_modules())])
    assert [each["id"] for each in root["modules"]] == sorted(
        each["id"] for each in root["modules"]
    )
    assert parse_root_index(index_bytes(root)) == root
    assert index_bytes(parse_root_index(index_bytes(root)) or {}) == index_bytes(root)
