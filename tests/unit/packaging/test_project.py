"""What a path is, in order of preference."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.errors import PackagingError
from ign_deploy.packaging.project import ProjectKind, detect_project
from tests.support.builds import script


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A PATH with nothing but gradle and mvn."""
    tools = tmp_path / "tools"
    script(tools / "gradle")
    script(tools / "mvn")
    return {"PATH": str(tools)}


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (
            ["gradlew", "build.gradle", "mvnw", "pom.xml", "module.xml", "old.modl"],
            "GRADLE_WRAPPER",
        ),
        (["build.gradle.kts", "mvnw", "pom.xml"], "GRADLE"),
        (["settings.gradle", "old.modl"], "GRADLE"),
        (["mvnw", "pom.xml", "module.xml"], "MAVEN_WRAPPER"),
        (["pom.xml", "module.xml"], "MAVEN"),
        (["module.xml", "old.modl"], "FOLDER"),
        (["ready.modl"], "PREBUILT"),
    ],
)
def test_the_first_that_fits_counts(
    tmp_path: Path, env: dict[str, str], names: list[str], kind: str
) -> None:
    assert detect_project(make(tmp_path / "project", *names), env=env).kind is ProjectKind[kind]


def test_a_kind_can_be_named(tmp_path: Path, env: dict[str, str]) -> None:
    root = make(tmp_path / "project", "gradlew", "pom.xml")
    assert detect_project(root, env=env, kind=ProjectKind.MAVEN).tool == (
        str(tmp_path / "tools" / "mvn"),
    )


def test_a_wrapper_is_run_through_sh(tmp_path: Path, env: dict[str, str]) -> None:
    root = make(tmp_path / "project", "gradlew")
    assert detect_project(root, env=env).tool == ("sh", str(root / "gradlew"))


def test_a_module_file_is_prebuilt(tmp_path: Path) -> None:
    path = make(tmp_path, "Pump.modl") / "Pump.modl"
    project = detect_project(path, env={})
    assert (project.kind, project.files) == (ProjectKind.PREBUILT, (path,))


def test_another_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match=r"neither a folder nor a \.modl"):
        detect_project(make(tmp_path, "pump.zip") / "pump.zip", env={})


def test_a_path_that_is_not_there_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match="does not exist"):
        detect_project(tmp_path / "missing", env={})


def test_an_empty_folder_is_rejected_with_all_that_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(PackagingError) as caught:
        detect_project(tmp_path, env={})
    for name in ("gradlew", "settings.gradle", "build.gradle.kts", "mvnw", "pom.xml", "module.xml"):
        assert name in caught.value.message


def test_a_gradle_project_without_gradle_is_rejected_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match="gradle on PATH or in GRADLE_HOME"):
        detect_project(make(tmp_path, "build.gradle"), env={"PATH": ""})


def test_gradle_home_comes_before_path(tmp_path: Path, env: dict[str, str]) -> None:
    own = script(tmp_path / "home" / "bin" / "gradle")
    root = make(tmp_path / "project", "build.gradle")
    home = {**env, "GRADLE_HOME": str(tmp_path / "home")}
    assert detect_project(root, env=home).tool == (str(own),)
    dead = {**env, "GRADLE_HOME": str(tmp_path / "nowhere")}
    assert detect_project(root, env=dead).tool == (str(tmp_path / "tools" / "gradle"),)


def test_skipping_the_build_takes_what_was_built_before(tmp_path: Path) -> None:
    root = make(
        tmp_path,
        "gradlew",
        "build/A.modl",
        "build/A.unsigned.modl",
        "sub/target/B-unsigned.modl",
        "src/C.modl",
        "node_modules/x/build/D.modl",
        ".gradle/build/E.modl",
    )
    names = [path.name for path in detect_project(root, env={}, skip_build=True).files]
    assert names == ["A.unsigned.modl", "B-unsigned.modl"]
    signed = [
        path.name
        for path in detect_project(root, env={}, skip_build=True, prefer_signed=True).files
    ]
    assert signed == ["A.modl", "B-unsigned.modl"]


def test_skipping_the_build_without_a_module_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match="no built module"):
        detect_project(make(tmp_path, "gradlew"), env={}, skip_build=True)
