"""What keeps a build from working is found without building."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.module.findings import Severity
from ign_deploy.packaging.java import newest_java_for, oldest_gradle_for
from ign_deploy.packaging.preflight import build_findings
from ign_deploy.packaging.project import Project, ProjectKind, detect_project
from tests.support.builds import PATH, fake_java, gradle_wrapper, script


def codes(root: Path, env: dict[str, str]) -> list[str]:
    return [finding.code for finding in build_findings(detect_project(root, env=env), env=env)]


def with_java(tmp_path: Path, release: str) -> dict[str, str]:
    return {"PATH": PATH, "JAVA_HOME": str(fake_java(tmp_path / "jdk", release))}


def test_a_sound_wrapper_project_has_no_problems(tmp_path: Path) -> None:
    root = gradle_wrapper(tmp_path / "p", version="8.5")
    assert codes(root, with_java(tmp_path, "21.0.2")) == []


@pytest.mark.parametrize("name", ["gradlew", "mvnw"])
def test_a_wrapper_with_windows_line_endings_is_named_with_the_fix(
    tmp_path: Path, name: str
) -> None:
    root = gradle_wrapper(tmp_path / "p")
    if name == "mvnw":
        root = tmp_path / "m"
        script(root / "mvnw", "exit 0")
        (root / "pom.xml").touch()
    env = with_java(tmp_path, "17")
    assert codes(root, env) == []
    wrapper = root / name
    wrapper.write_bytes(wrapper.read_bytes().replace(b"\n", b"\r\n"))
    (found,) = build_findings(detect_project(root, env=env), env=env)
    assert found.code == "wrapper-line-endings"
    assert f"{name} has Windows line endings" in found.message
    assert f"`{name} eol=lf` to .gitattributes" in found.hint


def test_all_problems_are_found_at_once(tmp_path: Path) -> None:
    (tmp_path / "gradlew").touch()
    assert codes(tmp_path, {"PATH": ""}) == [
        "build-file-missing",
        "wrapper-jar-missing",
        "wrapper-properties-missing",
        "java-missing",
    ]


@pytest.mark.parametrize(
    ("gradle", "java", "fits"),
    [
        ("7.2", "17.0.1", False),
        ("7.3", "17.0.1", True),
        ("8.4", "21", False),
        ("8.5", "21", True),
        ("9.0.0", "11.0.2", False),
        ("9.0.0", "17", True),
        ("4.10", "1.8.0_402", True),
        ("4.10", "11.0.2", False),
        ("8.9", "23", False),
        ("8.10", "23", True),
        ("9.1.0", "25", True),
    ],
)
def test_gradle_and_java_must_fit(tmp_path: Path, gradle: str, java: str, fits: bool) -> None:
    root = gradle_wrapper(tmp_path / "p", version=gradle)
    expected = [] if fits else ["java-gradle-mismatch"]
    assert codes(root, with_java(tmp_path, java)) == expected


def test_the_hint_for_a_java_that_is_too_new_names_both_ways_out(tmp_path: Path) -> None:
    env = with_java(tmp_path, "21")
    (finding,) = build_findings(
        detect_project(gradle_wrapper(tmp_path / "p", version="8.2"), env=env), env=env
    )
    assert finding.hint == "set up a JDK 19 or older, or raise the wrapper to Gradle 8.5 or later."


def test_a_java_that_no_gradle_knows_has_no_gradle_to_raise_to() -> None:
    assert oldest_gradle_for(17) == "7.3"
    assert oldest_gradle_for(99) == ""
    assert newest_java_for((2, 0)) == 8


def test_a_dead_java_home_is_a_warning_when_path_has_one(tmp_path: Path) -> None:
    root = gradle_wrapper(tmp_path / "p", version="8.5")
    java = fake_java(tmp_path / "jdk", "17")
    env = {"PATH": f"{java}/bin:{PATH}", "JAVA_HOME": "/nowhere"}
    (finding,) = build_findings(detect_project(root, env=env), env=env)
    assert (finding.code, finding.severity) == ("java-home-invalid", Severity.WARNING)


def test_an_installed_gradle_is_asked_because_it_may_be_patched(tmp_path: Path) -> None:
    home = tmp_path / "gradle"
    script(home / "bin" / "gradle", "echo; echo 'Gradle 4.4.1'")
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "build.gradle").touch()
    assert codes(tmp_path / "p", {**with_java(tmp_path, "17"), "GRADLE_HOME": str(home)}) == []


def test_an_installed_gradle_that_cannot_start_is_a_problem(tmp_path: Path) -> None:
    home = tmp_path / "gradle"
    script(home / "bin" / "gradle", "echo 'unsupported class file'; exit 1")
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "build.gradle").touch()
    env = {**with_java(tmp_path, "21"), "GRADLE_HOME": str(home)}
    assert codes(tmp_path / "p", env) == ["gradle-unusable"]


def test_a_dead_gradle_home_is_a_warning_when_path_has_one(tmp_path: Path) -> None:
    script(tmp_path / "bin" / "gradle", "echo 'Gradle 8.5'")
    root = tmp_path / "p"
    root.mkdir()
    (root / "build.gradle").touch()
    env = with_java(tmp_path, "17")
    env |= {"PATH": f"{tmp_path}/bin:{PATH}", "GRADLE_HOME": "/nowhere"}
    assert codes(root, env) == ["gradle-home-invalid"]


def test_kotlin_build_files_need_a_gradle_that_reads_them(tmp_path: Path) -> None:
    home = tmp_path / "gradle"
    script(home / "bin" / "gradle", "echo 'Gradle 4.4.1'")
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "build.gradle.kts").touch()
    env = {**with_java(tmp_path, "17"), "GRADLE_HOME": str(home)}
    assert codes(tmp_path / "p", env) == ["gradle-kotlin-unsupported"]


def test_maven_needs_a_pom(tmp_path: Path) -> None:
    (tmp_path / "mvnw").touch()
    assert codes(tmp_path, with_java(tmp_path, "17")) == ["build-file-missing"]


def test_a_prebuilt_lfs_pointer_is_found(tmp_path: Path) -> None:
    path = tmp_path / "Pump.modl"
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    assert codes(path, {}) == ["module-unreadable"]
    gone = Project(tmp_path, ProjectKind.PREBUILT, "", files=(tmp_path / "gone.modl",))
    assert [finding.code for finding in build_findings(gone, env={})] == ["module-unreadable"]


def test_gradle_is_not_asked_with_caches_that_a_build_could_write_to(tmp_path: Path) -> None:
    """It loads native libraries from there, as the user that we are."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "build.gradle").touch()
    seen = tmp_path / "seen"
    home = tmp_path / "gradle"
    script(home / "bin" / "gradle", f'echo "$GRADLE_USER_HOME" >{seen}', "echo Gradle 8.5")
    caches = tmp_path / "caches"
    caches.mkdir()
    env = {
        **with_java(tmp_path, "17.0.1"),
        "GRADLE_HOME": str(home),
        "GRADLE_USER_HOME": str(caches),
    }
    assert codes(root, env) == []
    used = Path(seen.read_text().strip())
    assert used != caches
    assert not used.exists()
