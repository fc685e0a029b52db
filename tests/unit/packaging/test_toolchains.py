"""A JDK that the build files name, and that isn't installed, is named before the build."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ign_deploy.module.findings import Finding, Severity
from ign_deploy.packaging.preflight import build_findings
from ign_deploy.packaging.project import detect_project
from tests.support.builds import PATH, fake_java, gradle_wrapper, script

# Installed nowhere: support for it ended long ago.
RELEASE = 13
JAVA = f"java {{ toolchain {{ languageVersion = JavaLanguageVersion.of({RELEASE}) }} }}"
CODE = "java-toolchain-missing"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    return {"PATH": PATH, "HOME": str(home), "JAVA_HOME": str(fake_java(tmp_path / "jdk", "17"))}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = gradle_wrapper(tmp_path / "p", version="8.5")
    (root / "build.gradle").write_text(JAVA)
    return root


def findings(root: Path, env: dict[str, str], *arguments: str) -> tuple[Finding, ...]:
    return build_findings(detect_project(root, env=env), env=env, arguments=arguments)


def codes(root: Path, env: dict[str, str], *arguments: str) -> list[str]:
    return [finding.code for finding in findings(root, env, *arguments)]


def jdk(home: Path, release: str) -> Path:
    home.mkdir(parents=True)
    (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{release}"\n')
    return home


def test_it_is_an_error_that_says_which_jdk_to_add(root: Path, env: dict[str, str]) -> None:
    (found,) = findings(root, env)
    assert (found.code, found.severity) == (CODE, Severity.ERROR)
    assert found.message == (
        "build.gradle needs JDK 13 as a toolchain, which was not found; the build runs on Java 17"
    )
    assert "actions/setup-java installs every line of `java-version`" in found.hint


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("build.gradle", "languageVersion.set(JavaLanguageVersion.of('13'))"),
        ("build.gradle.kts", "languageVersion.set(JavaLanguageVersion.of(13))"),
        ("gateway/build.gradle.kts", "kotlin {\n    jvmToolchain(13)\n}"),
        ("gateway/build.gradle", "kotlin { jvmToolchain 13 }"),
        ("buildSrc/src/main/kotlin/conventions.gradle.kts", "jvmToolchain( 13 )"),
        ("build.gradle", 'url "https://example.com" /* JDK */\njvmToolchain(13) // why'),
        ("gradle/gradle-daemon-jvm.properties", "toolchainVersion=13"),
    ],
)
def test_every_way_to_name_it_is_read(
    root: Path, env: dict[str, str], name: str, text: str
) -> None:
    (root / "build.gradle").write_text("")
    assert codes(root, env) == []
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    (found,) = findings(root, env)
    assert found.message.startswith(f"{name} needs JDK 13")


@pytest.mark.parametrize(
    "text",
    [
        "// languageVersion = JavaLanguageVersion.of(13)",
        "/* jvmToolchain(13)\n jvmToolchain(13) */ jvmToolchain(17)",
        "/* jvmToolchain(13)",
        "sourceCompatibility = 13",
        "jvmToolchain(17)",
        'jvmToolchain { languageVersion = JavaLanguageVersion.of( "17" ) }',
    ],
)
def test_what_names_no_missing_jdk_is_fine(root: Path, env: dict[str, str], text: str) -> None:
    (root / "build.gradle").write_text(text)
    assert codes(root, env) == []


@pytest.mark.parametrize(
    "text",
    [
        "languageVersion = JavaLanguageVersion.of(version.toInteger())",
        "languageVersion.set(JavaLanguageVersion.of(libs.versions.java.get()))",
        "kotlin { jvmToolchain( jdk ) }",
    ],
)
def test_a_version_that_the_build_computes_is_said_not_to_be_checked(
    root: Path, env: dict[str, str], text: str
) -> None:
    (root / "build.gradle").write_text(text)
    (found,) = findings(root, env)
    assert (found.code, found.severity) == ("java-toolchain-computed", Severity.INFO)
    assert found.message.startswith("build.gradle computes which JDK")
    (root / "settings.gradle").write_text("plugins { id 'org.gradle.toolchains.foojay' }")
    assert codes(root, env) == [], "Gradle downloads it"


def test_what_only_tests_run_on_is_fine(root: Path, env: dict[str, str]) -> None:
    launcher = "javaLauncher = javaToolchains.launcherFor {{ languageVersion = {} }}"
    text = f"tasks.register('testOn13', Test) {{ {launcher.format('JavaLanguageVersion.of(13)')} }}"
    (root / "build.gradle").write_text(text)
    assert codes(root, env) == []


def test_another_project_in_the_folder_does_not_count(root: Path, env: dict[str, str]) -> None:
    (root / "build.gradle").write_text("")
    inner = root / "samples" / "one"
    inner.mkdir(parents=True)
    (inner / "settings.gradle.kts").touch()
    (inner / "build.gradle.kts").write_text("kotlin { jvmToolchain(13) }")
    assert codes(root, env) == []
    (root / "settings.gradle").write_text("includeBuild('samples/one')")
    assert codes(root, env) == [CODE]


def test_what_a_build_made_is_not_read(root: Path, env: dict[str, str]) -> None:
    (root / "build.gradle").write_text("")
    for folder in ("build", "node_modules/x", ".gradle", "gateway/src/main/resources"):
        (root / folder).mkdir(parents=True)
        (root / folder / "build.gradle").write_text(JAVA)
    assert codes(root, env) == []


@pytest.mark.parametrize(
    "place", ["home/.sdkman/candidates/java/13", "home/.gradle/jdks/a/b", "home/.jdks/x"]
)
def test_a_jdk_where_gradle_looks_is_found(
    root: Path, env: dict[str, str], tmp_path: Path, place: str
) -> None:
    jdk(tmp_path / place, "13.0.2")
    assert codes(root, env) == []


def test_a_jdk_of_setup_java_is_found(root: Path, env: dict[str, str], tmp_path: Path) -> None:
    env["JAVA_HOME_13_X64"] = str(jdk(tmp_path / "tools" / "13", "13.0.2"))
    assert codes(root, env) == []


def test_the_java_that_runs_gradle_is_one(root: Path, env: dict[str, str], tmp_path: Path) -> None:
    (root / "build.gradle").write_text("jvmToolchain(17)\njvmToolchain(8)")
    jdk(tmp_path / "home/.jdks/8", "1.8.0_402")
    assert codes(root, env) == []


@pytest.mark.parametrize(
    ("name", "text", "is_missing"),
    [
        ("settings.gradle", "plugins { id 'org.gradle.toolchains.foojay-resolver' }", False),
        ("settings.gradle.kts", "toolchainManagement { }", False),
        ("gradle.properties", "org.gradle.java.installations.paths=/custom", False),
        ("gradle.properties", "org.gradle.java.installations.auto-detect=true", True),
    ],
)
def test_a_jdk_that_gradle_gets_elsewhere_is_not_missing(
    root: Path, env: dict[str, str], name: str, text: str, is_missing: bool
) -> None:
    (root / name).write_text(text)
    assert codes(root, env) == ([CODE] if is_missing else [])


def test_a_download_that_is_turned_off_does_not_count(root: Path, env: dict[str, str]) -> None:
    (root / "settings.gradle").write_text("plugins { id 'org.gradle.toolchains.foojay-resolver' }")
    off = "org.gradle.java.installations.auto-download=false"
    assert codes(root, env, f"-P{off}") == [CODE]
    (root / "gradle.properties").write_text(off)
    assert codes(root, env) == [CODE]


def test_an_older_gradle_downloads_it_by_itself(tmp_path: Path, env: dict[str, str]) -> None:
    root = gradle_wrapper(tmp_path / "old", version="7.6")
    (root / "build.gradle").write_text(JAVA)
    assert codes(root, env) == []


def test_named_tasks_may_not_need_it(root: Path, env: dict[str, str]) -> None:
    (found,) = findings(root, env, "-Px=1", ":a:zipModule")
    assert (found.code, found.severity) == (CODE, Severity.WARNING)


POM = """<project><!-- <jdk><version>12</version></jdk> --><build><plugins><plugin>
<artifactId>maven-toolchains-plugin</artifactId><configuration><toolchains><jdk>
<version> 13 </version><vendor>any</vendor></jdk></toolchains></configuration>
</plugin></plugins></build></project>"""


def test_mavens_toolchains_have_to_be_defined(tmp_path: Path, env: dict[str, str]) -> None:
    root = tmp_path / "m"
    script(root / "mvnw", "exit 0")
    (root / "pom.xml").write_text("<project/>")
    assert codes(root, env) == []
    (root / "gateway").mkdir()
    (root / "gateway" / "pom.xml").write_text(POM)
    (found,) = findings(root, env)
    assert (found.code, found.severity) == (CODE, Severity.ERROR)
    assert found.message.startswith("gateway/pom.xml needs JDK 13 as a toolchain")
    assert "toolchains.xml" in found.hint
    assert codes(root, env, "--toolchains=ours.xml") == []
    defined = tmp_path / "home" / ".m2" / "toolchains.xml"
    defined.parent.mkdir()
    defined.write_text("<toolchains><provides><version>13</version></provides></toolchains>")
    assert codes(root, env) == []
    defined.unlink()
    own = POM.replace("<configuration>", "<goal>select-jdk-toolchain</goal><configuration>")
    (root / "gateway" / "pom.xml").write_text(own)
    assert codes(root, env) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("build.gradle", "/*" * 250_000),
        ("build.gradle", "JavaLanguageVersion.of(" * 40_000),
        ("build.gradle", "launcherFor {" * 60_000),
        ("gradle/gradle-daemon-jvm.properties", "\n" * 500_000),
        ("settings.gradle", " " * 500_000),
    ],
)
def test_files_that_are_made_to_be_slow_are_not(
    root: Path, env: dict[str, str], name: str, text: str
) -> None:
    (root / name).write_text(text)
    start = time.process_time()
    codes(root, env)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("text", ["<!--" * 100_000, "<jdk>" * 100_000, "<version>1." * 50_000])
def test_a_pom_that_is_made_to_be_slow_is_not(
    tmp_path: Path, env: dict[str, str], text: str
) -> None:
    root = tmp_path / "m"
    script(root / "mvnw", "exit 0")
    (root / "pom.xml").write_text(f"maven-toolchains-plugin {text}")
    start = time.process_time()
    codes(root, env)
    assert time.process_time() - start < 5
