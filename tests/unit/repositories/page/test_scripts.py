"""Documents as scripts: whatever they hold, they are one call with one text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.repositories.page import (
    document_script,
    known_records,
    module_script,
    script_path,
    shown_versions,
)
from ign_deploy.repositories.page.scripts import MAX_SCRIPT_SIZE, MOST_VERSIONS, SHOWN
from ign_deploy.repositories.record import Release
from tests.support.node import run_node
from tests.support.page_samples import (
    HOSTILE_TEXTS,
    SampleModule,
    hostile_module,
    meter_releases,
    module_index,
    ordinary_modules,
    release,
    sample_module,
)

TEXTS = st.text() | st.sampled_from(HOSTILE_TEXTS)
CALL = re.compile(rb'ignDeployDocument\("((?:[^"\\<>&\x00-\x1f\x7f-\xff]|\\.)*)"\);\n')
METERS = sample_module(meter_releases())


def script_of(module: SampleModule) -> bytes:
    return module_script(module.index, read=module.records.get)


def content(script: bytes) -> Any:
    """Return the document of a script, which must be a call with one string and nothing else."""
    match = CALL.fullmatch(script)
    assert match is not None
    return json.loads(json.loads(b'"' + match[1] + b'"'))


@given(TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_any_document_is_one_call_with_one_text(text: str, more: dict[str, str]) -> None:
    document = {"text": text, "more": more, "__proto__": {"text": text}}
    assert content(document_script(document)) == document


def test_a_hostile_document_is_a_text_to_javascript(tmp_path: Path) -> None:
    document = {text: [*HOSTILE_TEXTS, "\u2028\u2029\ud800`${alert(1)}`"] for text in HOSTILE_TEXTS}
    (tmp_path / "index.js").write_bytes(document_script(document))
    check = """
        const calls = [];
        globalThis.ignDeployDocument = (...values) => calls.push(values);
        const before = Object.keys(globalThis).join();
        require("./index.js");
        const [[text, ...others], ...more] = calls;
        const isAlone = others.length + more.length === 0 && typeof text === "string";
        const isClean = before === Object.keys(globalThis).join();
        console.log(JSON.stringify([isAlone, isClean, JSON.parse(text)]));
    """
    done = run_node("-e", check, cwd=tmp_path, env={})
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout) == [True, True, document]


@pytest.mark.parametrize("module", [hostile_module(), *ordinary_modules()])
def test_a_modules_script_has_its_versions_and_records(module: SampleModule) -> None:
    document = content(script_of(module))
    shown = shown_versions(module.index["files"])
    assert document["id"] == module.index["id"]
    assert document["files"] == module.index["files"]
    records = {
        version: release.model_dump(mode="json") for version, release in module.records.items()
    }
    assert document["records"] == [records[version] for version in shown]


def test_the_script_is_beside_the_index() -> None:
    assert script_path("index.json") == "index.js"
    assert script_path("modules/com.json.thing/index.json") == "modules/com.json.thing/index.js"


def test_the_newest_are_shown_and_the_newest_usable_of_each_line() -> None:
    shown = shown_versions(METERS.index["files"])
    assert shown == [
        "3.0.0-rc1", "2.12.0", *(f"2.{minor}.0" for minor in range(11, 4, -1)), "1.9.4",
    ]  # fmt: skip
    assert len(shown) == SHOWN


def test_the_latest_is_shown_beyond_many_prereleases() -> None:
    names = ["1.0.0", *(f"2.0.0-rc{number}" for number in range(1, 30))]
    shown = shown_versions(module_index([(release("a", each), None) for each in names])["files"])
    assert (len(shown), shown[-1]) == (SHOWN, "1.0.0")


def test_of_many_versions_the_script_has_the_newest_and_those_that_are_shown() -> None:
    old = release("com.acme.many", "0.9.0", required_ignition_version="8.1.0")
    new = [release("com.acme.many", f"1.0.{number}") for number in range(MOST_VERSIONS)]
    index = module_index([(each, None) for each in (old, release("com.acme.many", "0.9.1"), *new)])
    files = content(module_script(index, read=lambda _: None))["files"]
    assert [each["version"] for each in files] == ["0.9.0", *(each.version for each in new)]


def test_a_record_that_is_too_long_or_unreadable_is_left_out() -> None:
    long = release("com.acme.thing", "2.0.0", notes="n" * 300_000)
    module = sample_module(
        [(long, None), *((release("com.acme.thing", f"1.{n}.0"), None) for n in (0, 1))]
    )
    del module.records["1.1.0"]
    document = content(script_of(module))
    assert [each["version"] for each in document["records"]] == ["1.0.0"]
    assert len(document["files"]) == 3


def test_records_are_known_from_the_script_if_they_are_of_the_indexs_files() -> None:
    known = known_records(script_of(METERS), METERS.index)
    assert known == {each: METERS.records[each] for each in shown_versions(METERS.index["files"])}
    other = [(release("com.acme.meters", "2.11.0"), None)]
    assert list(known_records(script_of(METERS), module_index(other))) == ["2.11.0"]
    index = module_index([(with_digest(other[0][0], "0" * 64), None)])
    assert known_records(script_of(METERS), index) == {}


def with_digest(record: Release, digest: str) -> Release:
    files = [each.model_copy(update={"sha256": digest}) for each in record.files]
    return record.model_copy(update={"files": tuple(files)})


@pytest.mark.parametrize(
    "script",
    [
        b"",
        b"\xff",
        b"0;",
        document_script([]),
        document_script({"records": 7}),
        document_script({"records": [None, 7, {}, {"id": "com.acme.meters"}]}),
        script_of(METERS)[:-200],
        script_of(METERS) + b" " * MAX_SCRIPT_SIZE,
        b"ignDeployDocument(" + b"[" * 100_000,
    ],
)
def test_what_is_not_ours_gives_no_records(script: bytes) -> None:
    assert known_records(script, METERS.index) == {}
