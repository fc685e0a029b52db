"""What is known of a project's modules before it is built, whatever a build writes down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import PackagingError, VerificationError
from ign_deploy.module.dependencies import Needs
from ign_deploy.packaging.identify import KnownModule, identify, known_modules
from ign_deploy.packaging.project import Project, ProjectKind, detect_project
from tests.support.builds import PATH, gradle_wrapper
from tests.support.modules import build_module
from tests.support.reporting import Recorder

ENV = {"PATH": PATH, "HOME": "/nonexistent", "GRADLE_USER_HOME": "/nonexistent"}
DEPENDS = (
    '<depends scope="G">com.example.a</depends><depends scope="G" required="false">b</depends>'
)


def listing(root: Path, text: str) -> tuple[KnownModule, ...]:
    """Let a stand-in of Gradle write the list."""
    (root / "text").write_text(text)
    find = 'for word; do case "$word" in -Dign.deploy.modules=*) list=${word#*=};; esac; done'
    project = detect_project(gradle_wrapper(root / "project", find, 'cp ../text "$list"'), env=ENV)
    return identify(project, env=ENV, timeout=60)


def test_the_log_says_whether_gradle_is_isolated(tmp_path: Path) -> None:
    project = detect_project(gradle_wrapper(tmp_path / "project"), env=ENV)
    reporter = Recorder()
    identify(project, env=ENV, timeout=60, isolate="off", reporter=reporter)
    assert "the build is not isolated, because --isolate off was given" in str(reporter.messages)


def test_a_prebuilt_module_says_everything(tmp_path: Path) -> None:
    path = build_module(tmp_path / "pump.unsigned.modl", extra=DEPENDS)
    assert known_modules(detect_project(path, env=ENV)) == (
        KnownModule(
            "com.example.pump",
            "1.2.3",
            "Pump",
            Needs(frozenset({"com.example.a"}), frozenset({"b"})),
            "pump.unsigned.modl",
        ),
    )


def test_a_module_without_an_id_is_not_known(tmp_path: Path) -> None:
    path = build_module(tmp_path / "pump.modl", texts={"id": ""})
    assert known_modules(detect_project(path, env=ENV)) == ()


def test_a_file_that_is_not_a_module_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.modl").write_bytes(b"no zip")
    with pytest.raises(VerificationError):
        known_modules(detect_project(tmp_path / "bad.modl", env=ENV))


def test_gradles_list_is_read(tmp_path: Path) -> None:
    module = {"id": "x", "version": "1.0.0", "name": "X", "depends": ["x", "y", 7], "more": 1}
    module["optional"] = ["x", "y", "z", None]
    assert listing(tmp_path, json.dumps([module, {"id": None}, 3])) == (
        KnownModule("x", "1.0.0", "X", Needs(frozenset({"y"}), frozenset({"z"}))),
    )


@pytest.mark.parametrize("text", ["", "{", "[[[[", "7", "null", '{"id": "x"}', "\0", "[" * 100_000])
def test_a_list_that_says_nothing_gives_no_modules(tmp_path: Path, text: str) -> None:
    assert listing(tmp_path, text) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
ITEMS = st.fixed_dictionaries(
    {"id": JSON, "version": JSON, "name": JSON, "depends": JSON, "optional": JSON}
)


@given(value=st.lists(ITEMS | JSON, max_size=4))
def test_whatever_json_a_build_writes_is_read_or_ignored(
    tmp_path_factory: pytest.TempPathFactory, value: list[Any]
) -> None:
    from ign_deploy.packaging.identify import _listed

    path = tmp_path_factory.mktemp("list") / "modules.json"
    path.write_text(json.dumps(value))
    for module in _listed(path):
        assert module.id
        assert all(isinstance(each, str) for each in module.needs.required | module.needs.optional)


def test_a_gradle_that_never_ends_is_stopped(tmp_path: Path) -> None:
    project = detect_project(gradle_wrapper(tmp_path / "project", "sleep 60"), env=ENV)
    with pytest.raises(PackagingError, match=r"within 0\.5 s") as caught:
        identify(project, env=ENV, timeout=0.5)
    assert "--build-timeout" in caught.value.hint


def test_an_outdated_version_of_mavens_last_build_does_not_count(tmp_path: Path) -> None:
    build_module(tmp_path / "target" / "pump.modl", extra=DEPENDS)
    (tmp_path / "target" / "half.modl").write_bytes(b"half a file")
    (found,) = identify(Project(tmp_path, ProjectKind.MAVEN, "it is one"), env=ENV, timeout=60)
    assert (found.id, found.version, found.name) == ("com.example.pump", "", "Pump")
    assert found.needs.required == {"com.example.a"}


def test_a_pipe_in_place_of_gradle_s_list_does_not_hang(tmp_path: Path) -> None:
    find = 'for word; do case "$word" in -Dign.deploy.modules=*) list=${word#*=};; esac; done'
    project = gradle_wrapper(tmp_path / "project", find, 'rm -f "$list"; mkfifo "$list"')
    assert identify(detect_project(project, env=ENV), env=ENV, timeout=60) == ()
