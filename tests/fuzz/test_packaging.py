"""Whatever a project or its build writes: an answer or one of our errors, never a crash."""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import ConfigurationError, PackagingError
from ign_deploy.packaging.artifacts import find_artifacts
from ign_deploy.packaging.commands import reported_version, split_arguments, wrapper_version
from ign_deploy.packaging.explain import FailureWatch
from ign_deploy.process import CUT_MARK, MAX_LINE, _lines

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("buildDir"), inner),
)
DOCUMENTS = st.binary() | JSON.map(lambda value: json.dumps(value).encode())


@given(DOCUMENTS, DOCUMENTS)
def test_lists_and_reports_of_any_content(module_list: bytes, report: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "list.json").write_bytes(module_list)
        (root / "buildResult.json").write_bytes(report)
        with pytest.raises(PackagingError):
            find_artifacts(root, before={}, module_list=root / "list.json")


@given(st.binary() | st.binary().map(lambda tail: b"distributionUrl=https\\://x/gradle-" + tail))
def test_wrapper_properties_of_any_content(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "gradle/wrapper/gradle-wrapper.properties")
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        version = wrapper_version(Path(folder))
        assert version is None or len(version) >= 2


def test_a_version_of_very_many_digits_is_none() -> None:
    assert reported_version("Gradle " + "9" * 5000 + ".1") is None


@given(st.text())
def test_lines_of_any_content_are_looked_at(line: str) -> None:
    watch = FailureWatch()
    watch.see(line)
    watch.see(f"Task '{line}' not found in root project")
    assert watch.meaning.isprintable()


@given(st.text())
def test_arguments_of_any_content_are_split_or_refused(text: str) -> None:
    try:
        parts = split_arguments(text)
    except ConfigurationError:
        return
    assert split_arguments(shlex.join(parts)) == parts


@given(st.lists(st.binary(max_size=40) | st.just(b"x" * MAX_LINE)))
def test_output_is_cut_into_lines_wherever_its_blocks_end(blocks: list[bytes]) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (block for block in blocks if block)

    whole = b"".join(blocks).split(b"\n")
    if not whole[-1]:
        whole.pop()
    found = list(_lines(pieces()))
    assert len(found) == len(whole)
    for line, raw in zip(found, whole, strict=True):
        assert line.endswith(CUT_MARK) == (len(raw) > MAX_LINE)
