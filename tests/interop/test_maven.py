"""A small project built by a real Maven, offline, with the plugins of Debian's packages."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from ign_deploy.errors import PackagingError
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import UnsignedModule
from ign_deploy.module.checks import check_module
from ign_deploy.module.findings import Severity
from ign_deploy.packaging.build import PackageOptions, package_project
from ign_deploy.packaging.preflight import build_findings
from ign_deploy.packaging.project import ProjectKind, detect_project
from tests.support.builds import QUICK_JAVA
from tests.support.modules import HOOK, module_xml
from tests.support.reporting import Recorder

REPOSITORY = Path("/usr/share/maven-repo")
PLUGINS = REPOSITORY / "org/apache/maven/plugins"

# Debian's plugins lack what the usual life cycle of a jar project needs; Ant compiles instead.
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>com.example</groupId><artifactId>pump</artifactId><version>1.2.3</version>
<packaging>pom</packaging>
<build><plugins>
<plugin><artifactId>maven-clean-plugin</artifactId><version>{clean}</version></plugin>
<plugin><artifactId>maven-jar-plugin</artifactId><version>{jar}</version><executions><execution>
  <phase>prepare-package</phase><goals><goal>jar</goal></goals>
  <configuration><classifier>gateway</classifier></configuration></execution></executions></plugin>
<plugin><artifactId>maven-antrun-plugin</artifactId><version>{antrun}</version><executions>
<execution><id>compile</id><phase>compile</phase><goals><goal>run</goal></goals>
  <configuration><target><mkdir dir="target/classes"/>
  <javac srcdir="src/main/java" destdir="target/classes" release="11" includeantruntime="false"/>
  </target></configuration></execution>
<execution><id>zip</id><phase>package</phase><goals><goal>run</goal></goals>
  <configuration><target><zip destfile="target/Pump-unsigned.modl">
  <fileset dir="src" includes="module.xml"/><fileset dir="target" includes="*.jar"/></zip>
  </target></configuration></execution>
</executions></plugin>
</plugins></build></project>
"""
SETTINGS = """<settings><profiles><profile><id>debian</id>
<repositories><repository>{repository}</repository></repositories>
<pluginRepositories><pluginRepository>{repository}</pluginRepository></pluginRepositories>
</profile></profiles><activeProfiles><activeProfile>debian</activeProfile></activeProfiles></settings>
"""


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose .m2 takes everything from Debian's packages."""
    folder = tmp_path_factory.mktemp("maven-home")
    # Maven gives this old library to every plugin that names none; Debian has a newer one only.
    utils = folder / ".m2/repository/org/codehaus/plexus/plexus-utils/1.1"
    utils.mkdir(parents=True)
    shutil.copy(
        REPOSITORY / "org/codehaus/plexus/plexus-utils/2.x/plexus-utils-2.x.jar",
        utils / "plexus-utils-1.1.jar",
    )
    (utils / "plexus-utils-1.1.pom").write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>org.codehaus.plexus</groupId>"
        "<artifactId>plexus-utils</artifactId><version>1.1</version></project>"
    )
    repository = (
        f"<id>central</id><url>{REPOSITORY.as_uri()}</url>"
        "<releases><checksumPolicy>ignore</checksumPolicy></releases>"
    )
    (folder / ".m2/settings.xml").write_text(SETTINGS.format(repository=repository))
    return folder


def newest(plugin: str) -> str:
    versions = [path.name for path in (PLUGINS / f"maven-{plugin}-plugin").iterdir()]
    return max(versions, key=lambda text: [int(part) for part in text.split(".") if part.isdigit()])


def make_project(root: Path, *, body: str = "") -> Path:
    source = root / "src/main/java/com/example/GatewayHook.java"
    source.parent.mkdir(parents=True)
    source.write_text(f"package com.example; public class GatewayHook {{ {body} }}\n")
    xml = module_xml(
        texts={"license": None, "documentation": None},
        hooks=(("G", HOOK),),
        jars=(("G", "pump-1.2.3-gateway.jar"),),
    )
    (root / "src/module.xml").write_bytes(xml)
    plugins = {name: newest(name) for name in ("clean", "jar", "antrun")}
    (root / "pom.xml").write_text(POM.format(**plugins))
    return root


def build(root: Path, home: Path, recorder: Recorder | None = None, **env: str) -> UnsignedModule:
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "MAVEN_OPTS": QUICK_JAVA, **env}
    project = detect_project(root, env=env)
    assert project.kind is ProjectKind.MAVEN
    assert build_findings(project, env=env) == ()
    options = PackageOptions(output_dir=root / "dist", expected_version="1.2.3")
    (module,) = package_project(project, options=options, env=env, reporter=recorder)
    return module


@pytest.mark.long
def test_maven_makes_the_same_module_anywhere(tmp_path: Path, home: Path) -> None:
    first = build(make_project(tmp_path / "one"), home)
    second = build(make_project(tmp_path / "two ü"), home, TZ="Pacific/Kiritimati", LC_ALL="C")
    assert first.path.name == "Pump-unsigned.modl"
    with Archive.open(first.path) as archive:
        severities = {finding.severity for finding in check_module(archive)}
    assert severities == {Severity.INFO}  # it has neither licence nor documentation
    digests = {hashlib.sha256(module.path.read_bytes()).digest() for module in (first, second)}
    assert len(digests) == 1


def test_sources_that_do_not_compile_are_explained(tmp_path: Path, home: Path) -> None:
    recorder = Recorder()
    with pytest.raises(PackagingError, match=r"Maven failed .*goal .*antrun.* failed"):
        build(make_project(tmp_path / "p", body="no Java"), home, recorder)
    assert any("GatewayHook.java:1: error" in line for line in recorder.lines)


def test_a_host_that_is_not_found_is_named(tmp_path: Path, home: Path) -> None:
    root = make_project(tmp_path / "project")
    elsewhere = (
        "<repositories><repository><id>x</id><url>https://nowhere.invalid/m</url></repository>"
        "</repositories><dependencies><dependency><groupId>com.x</groupId>"
        "<artifactId>sdk</artifactId><version>1</version></dependency></dependencies><build>"
    )
    pom = root / "pom.xml"
    pom.write_text(pom.read_text().replace("<build>", elsewhere))
    with pytest.raises(
        PackagingError, match=r"host name of nowhere\.invalid could not be resolved"
    ):
        build(root, home)
