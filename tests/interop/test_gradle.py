"""The example project, built by a real Gradle on a real Java, in copies of its folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from ign_deploy.errors import PackagingError, VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import UnsignedModule
from ign_deploy.module.checks import check_module
from ign_deploy.packaging.artifacts import find_artifacts
from ign_deploy.packaging.build import PackageOptions, package_project
from ign_deploy.packaging.commands import (
    gradle_build_command,
    gradle_user_home,
    write_init_script,
)
from ign_deploy.packaging.preflight import build_findings
from ign_deploy.packaging.project import ProjectKind, detect_project
from ign_deploy.process import build_environment, run_command
from tests.support.builds import EXAMPLE, QUICK_JAVA
from tests.support.reporting import Recorder
from tests.support.serving import Reply, scripted_server

# A module without jars, and a block that holds its values as the vendor's plugin does.
SECOND_MODULE = """
apply from: '../gradle/ignition-module.gradle'
ignitionModule {
    name = 'A'
    fileName = 'A.modl'
    id = 'com.example.a'
    moduleVersion = '2.0.0'
    moduleDependencies = ['com.example.b': 'G']
}
"""
PROVIDERS = """
class Spec {
    final String name
    Object required
    String scope
    Spec(String name) { this.name = name }
}
class Settings {
    final NamedDomainObjectContainer<Spec> moduleDependencySpecs
    final Property<String> id
    final Property<String> moduleVersion
    Settings(ObjectFactory objects, specs) {
        moduleDependencySpecs = specs
        id = objects.property(String)
        id.set('com.example.b')
        moduleVersion = objects.property(String)
    }
}
extensions.add('ignitionModule', new Settings(objects, container(Spec)))
ignitionModule.moduleDependencySpecs.configure {
    create('com.example.z') { required = true; scope = 'G' }
    create('com.example.y') { scope = 'G' }
    create('com.example.x') {
        required = objects.property(Boolean)
        required.set(false)
    }
}
"""
HOSTILE = "::set-output name=module-id::evil"


def copy_example(root: Path, *, head: str = "", tail: str = "") -> Path:
    """Copy the example, without what an earlier build left there; add to its build script."""
    ignored = shutil.ignore_patterns("build", ".gradle", "dist")
    shutil.copytree(EXAMPLE, root, ignore=ignored)
    script = root / "build.gradle"
    script.write_text(f"{head}\n{script.read_text()}\n{tail}\n")
    return root


def make_env(home: Path, **more: str) -> dict[str, str]:
    java = {"JAVA_HOME": os.environ["JAVA_HOME"]} if "JAVA_HOME" in os.environ else {}
    return {"PATH": os.environ["PATH"], "HOME": str(home), "JAVA_OPTS": QUICK_JAVA, **java, **more}


def ignore(line: str) -> None:
    """Throw a line away."""


def build(
    root: Path, env: dict[str, str], recorder: Recorder | None = None, **options: object
) -> UnsignedModule:
    (module,) = package_project(
        detect_project(root, env=env),
        options=PackageOptions(output_dir=root / "dist", **options),  # type: ignore[arg-type]  # as given
        env=env,
        reporter=recorder,
    )
    return module


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with Gradle's caches, for most builds."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, home: Path) -> UnsignedModule:
    """The example's module, built once."""
    root = copy_example(tmp_path_factory.mktemp("plain") / "example")
    return build(root, make_env(home))


def test_the_example_has_no_problems(home: Path) -> None:
    env = make_env(home)
    project = detect_project(EXAMPLE, env=env)
    assert project.kind is ProjectKind.GRADLE
    assert build_findings(project, env=env) == ()


def test_the_example_makes_a_module_that_nothing_can_be_said_against(built: UnsignedModule) -> None:
    assert built.path.name == "Shift-Clock.unsigned.modl"
    with Archive.open(built.path) as archive:
        findings = check_module(
            archive,
            expected_version="1.0.0",
            expected_id="com.example.shiftclock",
            signed=False,
            is_release=True,
        )
    assert findings == ()


def test_folder_time_zone_locale_and_build_folder_do_not_matter(
    built: UnsignedModule, tmp_path: Path
) -> None:
    root = copy_example(tmp_path / "an other folder ü", head="allprojects { buildDir = 'out' }")
    for path in root.rglob("*.html"):
        path.chmod(0o600)
    env = make_env(tmp_path, TZ="Pacific/Kiritimati", LC_ALL="C", LANG="C")
    module = build(root, env)
    assert (root / "out" / "Shift-Clock.unsigned.modl").is_file()
    assert digest(module.path) == digest(built.path)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def noisy(tmp_path_factory: pytest.TempPathFactory, home: Path) -> tuple[Recorder, Exception, Path]:
    """A build that prints its environment and a hostile line, with a version that it ignores."""
    tail = f"println '{HOSTILE}'\nSystem.getenv().each {{ println it }}"
    root = copy_example(tmp_path_factory.mktemp("noisy") / "example", tail=tail)
    env = make_env(
        home, MODULE_SIGNING_PASSWORD="hunter2", REPOSITORY_API_TOKEN="hunter2", CI="true"
    )
    recorder = Recorder()
    with pytest.raises(VerificationError) as caught:
        build(root, env, recorder, arguments=("-Pversion=2.0.0",), expected_version="2.0.0")
    return recorder, caught.value, root


def test_a_version_that_the_build_ignores_is_noticed(
    noisy: tuple[Recorder, VerificationError, Path],
) -> None:
    _, problem, root = noisy
    assert "'1.0.0'" in problem.message
    assert "'2.0.0'" in problem.message
    assert [finding.code for finding in problem.findings] == ["version-mismatch"]
    assert not (root / "dist").exists()


def test_a_build_sees_no_secrets(noisy: tuple[Recorder, VerificationError, Path]) -> None:
    assert "CI=true" in noisy[0].lines
    assert "hunter2" not in "\n".join(noisy[0].lines)


def test_what_a_build_prints_goes_through_the_untrusted_door(
    noisy: tuple[Recorder, VerificationError, Path],
) -> None:
    recorder = noisy[0]
    assert HOSTILE in recorder.lines
    assert HOSTILE not in recorder.infos + recorder.warnings


def test_the_init_script_lists_every_module_whatever_its_properties_are(
    tmp_path: Path, home: Path
) -> None:
    root = tmp_path / "example"
    copy_example(root)
    (root / "settings.gradle").write_text("include 'a', 'b', 'common'")
    (root / "build.gradle").write_text("allprojects { buildDir = 'out' }")
    for name, block in (("a", SECOND_MODULE), ("b", PROVIDERS)):
        (root / name).mkdir()
        (root / name / "build.gradle").write_text(block)
    env = make_env(home)
    command = gradle_build_command(
        detect_project(root, env=env),
        arguments=(":a:zipModule",),
        init_script=write_init_script(tmp_path),
        module_list=tmp_path / "list.json",
    )
    caches = {"GRADLE_USER_HOME": str(gradle_user_home(env))}
    environment = build_environment(env, extra=caches)
    assert (
        run_command(command, cwd=root, env=environment, timeout=120, on_line=ignore).returncode == 0
    )
    listed = json.loads((tmp_path / "list.json").read_text())
    assert listed == [
        {
            "path": ":a",
            "buildDir": str(root / "a" / "out"),
            "id": "com.example.a",
            "fileName": "A.modl",
            "version": "2.0.0",
            "name": "A",
            "depends": ["com.example.b"],
            "optional": [],
        },
        {
            "path": ":b",
            "buildDir": str(root / "b" / "out"),
            "id": "com.example.b",
            "fileName": None,
            "version": None,
            "name": None,
            "depends": ["com.example.y", "com.example.z"],
            "optional": ["com.example.x"],
        },
    ]
    (found,) = find_artifacts(root, before={}, module_list=tmp_path / "list.json")
    assert found == root / "a" / "out" / "A.unsigned.modl"


def test_sources_that_do_not_compile_are_explained(tmp_path: Path, home: Path) -> None:
    noise = "task noise { doLast { println 'java.net.UnknownHostException: nowhere.invalid' } }"
    after = "project(':common').afterEvaluate { it.compileJava.dependsOn(':noise') }"
    root = copy_example(tmp_path / "example", tail=f"{noise}\n{after}")
    source = next(root.rglob("ShiftPlan.java"))
    source.write_text(source.read_text() + "this is not Java\n")
    mistake = r"don't compile \(:common:compileJava\): ShiftPlan\.java:\d+: error: class, interface"
    with pytest.raises(PackagingError, match=mistake):
        build(root, make_env(home), recorder := Recorder())
    assert any("nowhere.invalid" in line for line in recorder.lines), "another task's output"
    assert not (root / "dist").exists()


def test_a_repository_that_wants_credentials_is_named(tmp_path: Path, home: Path) -> None:
    with scripted_server(*[Reply(401)] * 9) as server:
        tail = f"""
        allprojects {{ repositories {{ maven {{ url '{server.url}' }} }} }}
        project(':common').afterEvaluate {{ it.dependencies.add('compile', 'com.x:sdk:8.3.0') }}
        """
        root = copy_example(tmp_path / "example", tail=tail)
        with pytest.raises(PackagingError, match=r": 127\.0\.0\.1 refused .* \(status 401\)"):
            build(root, make_env(home))


def test_a_missing_task_is_explained(tmp_path: Path, home: Path) -> None:
    (tmp_path / "build.gradle").touch()
    with pytest.raises(PackagingError, match="the project has no task clean") as caught:
        build(tmp_path, make_env(home))
    assert "module plugin" in caught.value.hint


def test_a_build_that_ends_well_without_building_is_an_error(tmp_path: Path, home: Path) -> None:
    # Debian's Gradle doesn't read Kotlin scripts, takes `build` for `buildEnvironment`, exits 0.
    (tmp_path / "build.gradle.kts").touch()
    env = make_env(home)
    with pytest.raises(PackagingError, match=r"made no \.modl"):
        build(tmp_path, env, arguments=("build",))


class _Interrupting(Recorder):
    """Presses Ctrl-C when the build says that it sleeps."""

    def untrusted(self, lines: Sequence[str]) -> None:
        super().untrusted(lines)
        if any(line.startswith("sleeping ") for line in lines):
            raise KeyboardInterrupt


def test_an_interrupted_build_leaves_no_daemon(tmp_path: Path, home: Path) -> None:
    # With jvmargs that differ from the client's, --no-daemon forks a daemon all the same.
    pid_file = tmp_path / "pid"
    tail = f"""
        task nap {{ doLast {{
            new File('{pid_file}').text = new File('/proc/self').canonicalFile.name
            println "sleeping in " + System.getProperty('sun.java.command')
            // More than the lines that are handed on together.
            100.times {{ println 'sleeping soundly' }}
            Thread.sleep(60000)
        }} }}
    """
    root = copy_example(tmp_path / "example", tail=tail)
    (root / "gradle.properties").write_text("moduleVersion=1.0.0\norg.gradle.jvmargs=-Xmx300m\n")
    recorder = _Interrupting()
    with pytest.raises(KeyboardInterrupt):
        build(root, make_env(home), recorder, arguments=("nap",), grace=2.0)
    assert any("GradleDaemon" in line for line in recorder.lines)
    assert not Path("/proc", pid_file.read_text()).exists()
    assert not [process for process in Path("/proc").glob("[0-9]*") if mentions(process, root)]


def mentions(process: Path, root: Path) -> bool:
    try:
        return str(root).encode() in (process / "cmdline").read_bytes()
    except OSError:
        return False
