"""Maven's command line, and a stand-in that is really run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.errors import PackagingError
from ign_deploy.module.archive import Archive
from ign_deploy.packaging.build import PackageOptions, package
from ign_deploy.packaging.detect import Kind, Project, detect
from ign_deploy.packaging.maven import maven_build_command, maven_variables
from tests.support.builds import PATH, script
from tests.support.modules import build_module
from tests.support.reporting import Recorder


def command(root: Path, *arguments: str, epoch: str = "") -> tuple[str, ...]:
    project = Project(root, Kind.MAVEN, "", tool=("/m/mvn",))
    return maven_build_command(project, arguments=arguments, env={"SOURCE_DATE_EPOCH": epoch})


def test_the_usual_goals_never_install(tmp_path: Path) -> None:
    stamp = "-Dproject.build.outputTimestamp=315532802"
    assert command(tmp_path) == ("/m/mvn", "-B", "-ntp", stamp, "clean", "package")


@pytest.mark.parametrize(
    ("epoch", "moment"), [("1700000000", "1700000000"), ("5", "315532802"), ("x", "315532802")]
)
def test_archives_get_the_source_s_date(tmp_path: Path, epoch: str, moment: str) -> None:
    assert f"-Dproject.build.outputTimestamp={moment}" in command(tmp_path, epoch=epoch)


def test_a_project_that_sets_its_own_date_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "pom.xml").write_text("<project.build.outputTimestamp>1</…>")
    assert command(tmp_path, "-pl", "x") == (
        *("/m/mvn", "-B", "-ntp", "-pl", "x", "clean", "package"),
    )


def test_home_is_told_because_the_jvm_does_not_ask_it() -> None:
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
    (module,) = package(
        detect(root, env=env),
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
        package(detect(tmp_path, env={}), options=PackageOptions(), env={"PATH": PATH})
