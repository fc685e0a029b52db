"""The command lines of Gradle and Maven, their environments, and a stand-in that is really run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError, PackagingError
from ign_deploy.module.archive import Archive
from ign_deploy.packaging.build import PackageOptions, package_project
from ign_deploy.packaging.commands import (
    GRADLE_VALUE_OPTIONS,
    MAVEN_VALUE_OPTIONS,
    WRAPPER_PROPERTIES,
    format_command,
    gradle_build_command,
    gradle_user_home,
    maven_build_command,
    maven_variables,
    reported_version,
    split_arguments,
    with_tasks,
    wrapper_version,
    write_init_script,
)
from ign_deploy.packaging.project import Project, ProjectKind, detect_project
from tests.support.builds import PATH, gradle_wrapper, script
from tests.support.modules import build_module
from tests.support.reporting import Recorder


def gradle(*arguments: str) -> tuple[str, ...]:
    return with_tasks(arguments, defaults=("clean", "zip"), value_options=GRADLE_VALUE_OPTIONS)


def test_without_arguments_the_usual_tasks_are_run() -> None:
    assert gradle() == ("clean", "zip")


def test_a_task_is_in_place_of_the_usual_ones() -> None:
    assert gradle(":a:zipModule", "--info") == (":a:zipModule", "--info")


@pytest.mark.parametrize(
    "arguments", [("-Pversion=1",), ("-x", "test"), ("--exclude-task", "lint", "--offline")]
)
def test_options_alone_keep_the_usual_tasks(arguments: tuple[str, ...]) -> None:
    assert gradle(*arguments) == (*arguments, "clean", "zip")


def test_maven_s_options_have_values_of_their_own() -> None:
    goals = with_tasks(
        ("-pl", "a,b", "-DskipTests"), defaults=("package",), value_options=MAVEN_VALUE_OPTIONS
    )
    assert goals == ("-pl", "a,b", "-DskipTests", "package")


def test_text_is_split_like_a_shell_does() -> None:
    assert split_arguments("-Pa='b c' zip") == ("-Pa=b c", "zip")


def test_an_open_quote_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match="can't be split"):
        split_arguments("-Pa='b")


def test_secrets_in_properties_are_not_shown() -> None:
    text = format_command(["-PnexusPassword=abc", "-Da.Token=x=y", "-Pversion=1.2.3", "zipModule"])
    assert text == "'-PnexusPassword=***' '-Da.Token=***' -Pversion=1.2.3 zipModule"


def gradle_command(*arguments: str, verbose: bool = False) -> tuple[str, ...]:
    project = Project(Path("/p"), ProjectKind.GRADLE_WRAPPER, "", tool=("sh", "/p/gradlew"))
    return gradle_build_command(
        project,
        arguments=arguments,
        init_script=Path("/i.gradle"),
        module_list=Path("/l.json"),
        verbose=verbose,
    )


def test_the_usual_tasks_leave_signing_out() -> None:
    assert gradle_command() == (
        *("sh", "/p/gradlew", "--no-daemon", "--console=plain"),
        *("-Dorg.gradle.configuration-cache=false", "-I", "/i.gradle"),
        *("-Dign.deploy.modules=/l.json", "clean", "zipModule"),
    )


def test_only_a_verbose_build_shows_stack_traces() -> None:
    assert "--stacktrace" not in gradle_command()
    assert "--stacktrace" in gradle_command(verbose=True)
    assert "--stacktrace" in gradle_command("--stacktrace", "zipModule")


def test_arguments_are_passed_on() -> None:
    assert gradle_command("-PmcpVersion=1.2.3")[-3:] == ("-PmcpVersion=1.2.3", "clean", "zipModule")
    assert gradle_command("build", "-PskipModlSigning=true")[-2:] == (
        "build",
        "-PskipModlSigning=true",
    )


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


def maven_command(root: Path, *arguments: str, epoch: str = "") -> tuple[str, ...]:
    project = Project(root, ProjectKind.MAVEN, "", tool=("/m/mvn",))
    return maven_build_command(project, arguments=arguments, env={"SOURCE_DATE_EPOCH": epoch})


def test_the_usual_goals_never_install(tmp_path: Path) -> None:
    stamp = "-Dproject.build.outputTimestamp=315532802"
    assert maven_command(tmp_path) == ("/m/mvn", "-B", "-ntp", stamp, "clean", "package")


@pytest.mark.parametrize(
    ("epoch", "moment"), [("1700000000", "1700000000"), ("5", "315532802"), ("x", "315532802")]
)
def test_archives_get_the_source_s_date(tmp_path: Path, epoch: str, moment: str) -> None:
    assert f"-Dproject.build.outputTimestamp={moment}" in maven_command(tmp_path, epoch=epoch)


def test_a_project_that_sets_its_own_date_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "pom.xml").write_text("<project.build.outputTimestamp>1</…>")
    assert maven_command(tmp_path, "-pl", "x") == (
        *("/m/mvn", "-B", "-ntp", "-pl", "x", "clean", "package"),
    )


def test_home_is_reported_because_the_jvm_does_not_ask_it() -> None:
    assert maven_variables({"HOME": "/h"}) == {"MAVEN_OPTS": "-Duser.home=/h"}
    options = maven_variables({"HOME": "/h", "MAVEN_OPTS": "-Xmx1g"})
    assert options == {"MAVEN_OPTS": "-Duser.home=/h -Xmx1g"}
    assert maven_variables({}) == maven_variables({"HOME": "/a b"}) == {}


def test_a_maven_build_s_module_is_found(tmp_path: Path) -> None:
    made = build_module(tmp_path / "made.modl")
    mvn = script(
        tmp_path / "maven" / "bin" / "mvn",
        'echo "$@" "$MAVEN_OPTS"',
        f"mkdir -p pump-build/target && cp {made} pump-build/target/Pump-unsigned.modl",
    )
    root = tmp_path / "project"
    root.mkdir()
    (root / "pom.xml").touch()
    env = {"PATH": PATH, "MAVEN_HOME": str(mvn.parent.parent), "HOME": "/h"}
    recorder = Recorder()
    (module,) = package_project(
        detect_project(root, env=env),
        options=PackageOptions(output_dir=tmp_path / "dist"),
        env=env,
        reporter=recorder,
    )
    assert recorder.lines == [
        "-B -ntp -Dproject.build.outputTimestamp=315532802 clean package -Duser.home=/h"
    ]
    assert module.path == tmp_path / "dist" / "Pump-unsigned.modl"
    with Archive.open(module.path) as archive:
        assert archive.entry("module.xml") is not None


def test_a_maven_build_that_fails_is_explained(tmp_path: Path) -> None:
    script(tmp_path / "mvnw", "echo '[ERROR] COMPILATION ERROR :'; exit 1")
    (tmp_path / "pom.xml").touch()
    with pytest.raises(PackagingError, match=r"Maven wrapper failed.*don't compile"):
        package_project(
            detect_project(tmp_path, env={}), options=PackageOptions(), env={"PATH": PATH}
        )


def test_pipes_in_place_of_project_files_do_not_hang(tmp_path: Path) -> None:
    properties = tmp_path / WRAPPER_PROPERTIES
    properties.parent.mkdir(parents=True)
    os.mkfifo(properties)
    assert wrapper_version(tmp_path) is None
    os.mkfifo(tmp_path / "pom.xml")
    project = Project(tmp_path, ProjectKind.MAVEN, "", tool=("mvn",))
    command = maven_build_command(project, arguments=(), env={})
    assert any("outputTimestamp" in each for each in command)
