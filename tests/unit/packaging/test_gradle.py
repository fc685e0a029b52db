"""Gradle's command line and the folder of its caches."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.packaging.detect import Kind, Project
from ign_deploy.packaging.gradle import (
    gradle_build_command,
    gradle_user_home,
    reported_version,
    wrapper_version,
    write_init_script,
)
from tests.support.builds import gradle_wrapper


def command(*arguments: str) -> tuple[str, ...]:
    project = Project(Path("/p"), Kind.GRADLE_WRAPPER, "", tool=("sh", "/p/gradlew"))
    return gradle_build_command(
        project, arguments=arguments, init_script=Path("/i.gradle"), module_list=Path("/l.json")
    )


def test_the_usual_tasks_leave_signing_out() -> None:
    assert command() == (
        *("sh", "/p/gradlew", "--no-daemon", "--console=plain", "--stacktrace"),
        *("-Dorg.gradle.configuration-cache=false", "-I", "/i.gradle"),
        *("-Dign.deploy.modules=/l.json", "clean", "zipModule"),
    )


def test_arguments_are_passed_on() -> None:
    assert command("-PmcpVersion=1.2.3")[-3:] == ("-PmcpVersion=1.2.3", "clean", "zipModule")
    assert command("build", "-PskipModlSigning=true")[-2:] == ("build", "-PskipModlSigning=true")


def test_the_init_script_comes_with_the_package(tmp_path: Path) -> None:
    assert "ign.deploy.modules" in write_init_script(tmp_path).read_text()


def test_a_named_gradle_user_home_is_kept(tmp_path: Path) -> None:
    env = {"GRADLE_USER_HOME": "/cache", "HOME": str(tmp_path)}
    assert gradle_user_home(env) == Path("/cache")


def test_home_is_named_because_the_jvm_does_not_ask_it(tmp_path: Path) -> None:
    assert gradle_user_home({"HOME": str(tmp_path)}) == tmp_path / ".gradle"


def test_without_a_usable_home_the_runner_s_folder_is_taken(tmp_path: Path) -> None:
    runner = tmp_path / "runner"
    env = {"HOME": str(tmp_path / "nowhere"), "RUNNER_TEMP": str(runner), "TMPDIR": "/t"}
    assert gradle_user_home(env) == Path("/t/.gradle"), "an old runner names it without mounting it"
    runner.mkdir()
    assert gradle_user_home(env) == runner / ".gradle"


def test_a_user_home_on_the_runner_s_machine_is_not_used_in_the_container(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "GRADLE_USER_HOME": "/home/runner-of-another-machine/.gradle"}
    assert gradle_user_home(env) == tmp_path / ".gradle"
    env["GRADLE_USER_HOME"] = str(tmp_path / "caches")
    assert gradle_user_home(env) == tmp_path / "caches"


@pytest.mark.parametrize("version", ["7.4", "8.10.2", "9.0.0"])
def test_the_wrapper_s_version_is_read(tmp_path: Path, version: str) -> None:
    root = gradle_wrapper(tmp_path, version=version)
    assert wrapper_version(root) == tuple(map(int, version.split(".")))


def test_a_wrapper_of_another_origin_has_no_known_version(tmp_path: Path) -> None:
    assert wrapper_version(tmp_path) is None
    root = gradle_wrapper(tmp_path)
    (root / "gradle/wrapper/gradle-wrapper.properties").write_bytes(b"distributionUrl=\xff\n")
    assert wrapper_version(root) is None


def test_gradle_s_own_word_is_read() -> None:
    assert reported_version("\n-----\nGradle 4.4.1\n-----\n\nGroovy: 2.4.21") == (4, 4, 1)
    assert reported_version("") is None
