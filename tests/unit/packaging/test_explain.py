"""Explanations of the failing lines of real builds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.packaging import causes
from ign_deploy.packaging.explain import FailureWatch
from ign_deploy.process import run_command
from tests.support.builds import PATH

LINES = [
    ("ERROR: JAVA_HOME is set to an invalid directory: /opt/none", "without Java: /opt/none"),
    ("ERROR: JAVA_HOME is not set and no 'java' command could be found in your PATH.", "no Java"),
    ("Unsupported class file major version 65", "class file version 65"),
    (
        "Error: Could not find or load main class org.gradle.wrapper.GradleWrapperMain",
        "gradle-wrapper.jar is missing",
    ),
    ("Error: Unable to access jarfile gradle/wrapper/gradle-wrapper.jar", "jar is missing"),
    (
        "java.net.UnknownHostException: plugins.gradle.org",
        "host name of plugins.gradle.org could not",
    ),
    ("> repo.example: Name or service not known", "host name of repo.example could"),
    ("\tat org.gradle.wrapper.Download.downloadInternal(Download.java:97)", "download Gradle"),
    ("> Connect to repo:443 failed: Connection refused", "repo could not be reached"),
    (
        "   > No cached version of com.x:y:1.0 available for offline mode.",
        "com.x:y:1.0 is not in Gradle's cache",
    ),
    (
        "Plugin [id: 'io.ia.sdk.modl', version: '0.3.0'] was not found in any of the following",
        "plugin io.ia.sdk.modl 0.3.0",
    ),
    ("Plugin [id: 'x'] was not found in any of the following sources:", "the plugin x"),
    ("Task 'zipModule' not found in root project 'pump'.", "no task zipModule"),
    ("> Could not resolve com.x:sdk:8.3.0.", "library com.x:sdk:8.3.0 could"),
    ("Execution failed for task ':compileJava'.", "don't compile (:compileJava)"),
    ("Execution failed for task ':a:b:compileTestKotlin'.", "don't compile"),
    ("Execution failed for task ':gateway:test'.", "the project's tests failed"),
    ("Execution failed for task ':signModule'.", "own signing failed"),
    ("Execution failed for task ':webpack'.", "the task :webpack failed"),
    ("java.lang.OutOfMemoryError: Java heap space", "out of memory"),
    ("> java.io.IOException: No space left on device", "disk is full"),
    ("Could not compile build file '/x/build.gradle'.", "script /x/build.gradle has an error"),
    ("A problem occurred evaluating root project 'pump'.", "configure root project 'pump'"),
    ("[ERROR] COMPILATION ERROR : ", "the sources don't compile"),
    (
        "[ERROR] Plugin org.x:maven-y-plugin:1 or one of its dependencies could not be resolved: z",
        "Maven could not find the plugin org.x:maven-y-plugin:1",
    ),
    ("[ERROR] Failed to execute goal a:b:1:c (default) on project d", "goal a:b:1:c failed"),
]


@pytest.mark.parametrize(("line", "meaning"), LINES)
def test_a_failing_line_is_explained(line: str, meaning: str) -> None:
    watch = FailureWatch()
    watch.see("> Task :before")
    watch.see(line)
    assert meaning in watch.meaning
    assert watch.hint.endswith(".")


def test_the_cause_counts_more_than_its_consequence_whatever_the_order() -> None:
    lines = ["Execution failed for task ':compileJava'.", "java.net.UnknownHostException: repo"]
    for order in (lines, lines[::-1]):
        watch = FailureWatch()
        for line in order:
            watch.see(line)
        assert "host name of repo could not be resolved" in watch.meaning


def test_other_lines_mean_nothing() -> None:
    watch = FailureWatch()
    watch.see("BUILD FAILED in 3s {0}")
    assert watch.meaning == ""
    assert watch.hint == "read the build's log."


def test_what_a_build_says_is_shown_without_control_characters() -> None:
    watch = FailureWatch()
    watch.see("Task '\x1b[31mzip\x07' not found in root project")
    assert watch.meaning == "the project has no task ?[31mzip?"


@pytest.mark.parametrize(
    "text", ["Could not resolve " + "a:" * 4000, "Cannot access " + "(" * 8000]
)
def test_a_line_made_to_be_slow_is_not(text: str) -> None:
    watch = FailureWatch()
    start = time.process_time()
    watch.see(text)
    assert time.process_time() - start < 1


GRADLE_REPORT = """
FAILURE: Build failed with an exception.

* What went wrong:
{reasons}

* Try:
> Run with --info or --debug option to get more log output.

* Exception is:
org.gradle.api.tasks.TaskExecutionException
"""
UNRESOLVED = """\
Could not resolve all files for configuration ':compileClasspath'.
> Could not resolve com.x:sdk:8.3.0.
  Required by:
      project :
   > Could not get resource 'https://repo.example:8443/com/x/sdk-8.3.0.pom'.
      > Could not GET 'https://repo.example:8443/com/x/sdk-8.3.0.pom'. """
VERIFICATION = """\
Execution failed for task ':compileJava'.
> Dependency verification failed for configuration ':compileClasspath'
  One artifact failed verification: sdk-8.3.0.jar (com.x:sdk:8.3.0) from repository MavenRepo
"""
TOOLCHAIN = """\
Could not determine the dependencies of task ':compileJava'.
> Failed to calculate the value of task ':compileJava' property 'javaCompiler'.
   > Cannot find a Java installation on your machine (Linux 6.1 amd64) matching: \
{languageVersion=11, vendor=any vendor, implementation=vendor-specific}. \
Toolchain download repositories have not been configured."""
OLD_TOOLCHAIN = """\
Execution failed for task ':compileJava'.
> Error while evaluating property 'javaCompiler' of task ':compileJava'
   > No matching toolchains found for requested specification: {languageVersion=11, vendor=any}."""

# The failed task's output, the reasons in the report, what is said of it, and part of the hint.
REPORTS = {
    "compile": (
        (
            "> Task :compileJava FAILED\n/w/src/Pump.java:3: error: ';' expected\n    int x\n"
            "/w/src/Valve.java:9: error: class expected"
        ),
        "Execution failed for task ':compileJava'.\n> Compilation failed; see the compiler output.",
        "the sources don't compile (:compileJava): Pump.java:3: error: ';' expected",
        "every error",
    ),
    "kotlin": (
        (
            "> Task :a:compileKotlin FAILED\nw: file:///w/Pump.kt:1:1 unused\n"
            "e: file:///w/Pump.kt:3:5 Unresolved reference: x"
        ),
        "Execution failed for task ':a:compileKotlin'.\n> Compilation error. See log for more",
        "the sources don't compile (:a:compileKotlin): Pump.kt:3: error: Unresolved reference: x",
        "every error",
    ),
    "old kotlin": (
        "> Task :compileKotlin FAILED\ne: /w/Pump.kt: (3, 5): Unresolved reference: x",
        "Execution failed for task ':compileKotlin'.\n> Compilation error. See log for more",
        "the sources don't compile (:compileKotlin): Pump.kt:3: error: Unresolved reference: x",
        "every error",
    ),
    "heap of the compiler": (
        (
            "> Task :compileJava FAILED\nThe system is out of resources.\n"
            "java.lang.OutOfMemoryError: Java heap space"
        ),
        "Execution failed for task ':compileJava'.\n> Compilation failed; see the compiler output.",
        "the build ran out of memory",
        "-Xmx",
    ),
    "heap of Kotlin's daemon": (
        "> Task :compileKotlin FAILED\ne: Not enough memory to run compilation. Try to increase it",
        "Execution failed for task ':compileKotlin'.\n> Internal compiler error.",
        "the build ran out of memory",
        "-Xmx",
    ),
    "heap": ("", "Java heap space", "the build ran out of memory", "-Xmx"),
    "daemon": (
        "",
        "Gradle build daemon disappeared unexpectedly (it may have been killed)",
        "a process of the build was killed, probably for lack of memory",
        "-Xmx",
    ),
    "unauthorized": (
        "",
        UNRESOLVED + "Received status code 401 from server: Unauthorized",
        "repo.example refused access to the build (status 401)",
        "ORG_GRADLE_PROJECT_",
    ),
    "forbidden": (
        "",
        UNRESOLVED + "Received status code 403 from server: Forbidden",
        "repo.example refused access to the build (status 403)",
        "settings.xml",
    ),
    "broken server": (
        "",
        UNRESOLVED + "Received status code 503 from server: Service Unavailable",
        "repo.example didn't deliver a library or plugin (status 503)",
        "later",
    ),
    "certificate": (
        "",
        UNRESOLVED + "\n> PKIX path building failed: sun.security.provider.certpath",
        "Java doesn't trust the certificate of repo.example",
        "keytool",
    ),
    "refused": (
        "",
        UNRESOLVED + "\n> Connection refused",
        "repo.example could not be reached",
        "proxy",
    ),
    "host": (
        "",
        UNRESOLVED + "\n         > other.example: Temporary failure in name resolution",
        "the host name of other.example could not be resolved: no network, no DNS, or a wrong name",
        "network",
    ),
    "verification": (
        "",
        VERIFICATION,
        (
            "a library is not the one that gradle/verification-metadata.xml expects "
            "(configuration ':compileClasspath')"
        ),
        "--write-verification-metadata",
    ),
    "toolchain": ("", TOOLCHAIN, "the build needs JDK 11, which is not installed", "setup-java"),
    "old toolchain": (
        "",
        OLD_TOOLCHAIN,
        "the build needs JDK 11, which is not installed",
        "JDK 11 beside",
    ),
    "older Java": (
        "",
        "Execution failed for task ':compileJava'.\n> error: invalid source release: 21",
        "the JDK is too old for the sources, which need Java 21",
        "JDK 21 or later",
    ),
    "npm without network": (
        "> Task :web:npmInstall FAILED\nnpm ERR! getaddrinfo ENOTFOUND registry.example",
        "Execution failed for task ':web:npmInstall'.\n> Process 'npm' finished with exit value 1",
        (
            "the host name of registry.example could not be resolved: no network, no DNS, "
            "or a wrong "
            "name"
        ),
        "network",
    ),
    "another task": (
        "> Task :web:build FAILED\nnothing that is known",
        "Execution failed for task ':web:build'.\n> Process 'npm' finished with exit value 1",
        "the task :web:build failed: Process 'npm' finished with exit value 1",
        "output",
    ),
    "a script's line endings": (
        "> Task :protoc FAILED\n/w/gen.sh: 2: \r: not found",
        "Execution failed for task ':protoc'.\n> Process 'sh' finished with exit value 127",
        "a shell script has Windows line endings (CRLF)",
        ".gitattributes",
    ),
    "anything else": ("", "Something new happened.\n> Why", "Something new happened", "log"),
}


def explained(text: str) -> FailureWatch:
    watch = FailureWatch()
    for line in text.split("\n"):
        watch.see(line)
    return watch


@pytest.mark.parametrize("name", REPORTS)
def test_the_report_and_the_output_of_the_failed_task_explain(name: str) -> None:
    output, reasons, meaning, hint = REPORTS[name]
    noise = "> Task :test\njava.net.UnknownHostException: nowhere\nNo space left on device\n"
    report = GRADLE_REPORT.replace("{reasons}", reasons)
    watch = explained(f"{noise}> Task :other\n{output}\n{report}")
    assert watch.meaning == meaning
    assert hint in watch.hint


def test_what_another_task_or_a_test_wrote_explains_nothing() -> None:
    """A test of a client tries an unknown host, then the sources of another project don't compile:
    once, that was "no network"."""
    compiled = "> Task :b:compileJava FAILED\n/w/B.java:1: error: class expected"
    report = "Execution failed for task ':b:compileJava'.\n> Compilation failed"
    for task in ("> Task :a:test", "> Task :a:generate", ":a:integrationTest", ""):
        noise = f"{task}\nCaused by: java.net.UnknownHostException: nowhere.invalid"
        for text in (f"{noise}\n{compiled}", f"{compiled}\n{noise}"):
            watch = explained(f"{text}\n{GRADLE_REPORT.replace('{reasons}', report)}")
            expected = "the sources don't compile (:b:compileJava): B.java:1: error: class expected"
            assert watch.meaning == expected


def test_a_source_that_the_compiler_repeats_explains_nothing() -> None:
    output = "> Task :compileJava FAILED\n/w/A.java:1: error: ';' expected\n"
    output += "  throw new UnknownHostException: java.lang.OutOfMemoryError 401"
    reasons = f"Execution failed for task ':compileJava'.\n> Compilation failed\n{output[30:]}"
    watch = explained(output + GRADLE_REPORT.replace("{reasons}", reasons))
    assert watch.meaning.startswith("the sources don't compile (:compileJava): A.java:1")


def test_of_several_failures_the_first_one_counts() -> None:
    report = "FAILURE: Build completed with 2 failures.\n\n"
    for number, task in ((1, ":web"), (2, ":compileJava")):
        report += f"{number}: Task failed with an exception.\n-----------\n* What went wrong:\n"
        report += f"Execution failed for task '{task}'.\n> It is broken\n\n* Try:\n> Run\n"
        report += "* Exception is:\nCaused by: java.net.UnknownHostException: nowhere\n"
    assert explained(report).meaning == "the task :web failed: It is broken"


def test_the_report_of_a_build_inside_the_build_is_not_its_own() -> None:
    inner = GRADLE_REPORT.replace("{reasons}", "Execution failed for task ':inner'.")
    outer = GRADLE_REPORT.replace("{reasons}", "Execution failed for task ':outer'.")
    assert explained(inner + outer).meaning == "the task :outer failed"


def test_a_build_that_was_killed_is_explained_by_its_last_task() -> None:
    text = "> Task :a\njava.net.UnknownHostException: x\n> Task :b\nJava heap space"
    assert explained(text).meaning == "the build ran out of memory"
    assert explained("> Task :a\njava.net.UnknownHostException: x\n> Task :b").meaning == ""


SHEBANG = "#!/usr/bin/env bash\n"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["sh", "gradlew"], "\nAPP=1\n"),
        (["sh", "gradlew"], "set -e\nexec true\n"),
        (["bash", "gradlew"], "\nexec true\n"),
        (["bash", "gradlew"], "warn () {\n  true\n}\n"),
        (["./gradlew"], SHEBANG),
    ],
)
def test_what_a_shell_says_of_windows_line_endings_is_explained(
    tmp_path: Path, command: list[str], text: str
) -> None:
    script = tmp_path / "gradlew"
    script.write_bytes(text.replace("\n", "\r\n").encode())
    script.chmod(0o755)
    watch = FailureWatch()
    run_command(command, cwd=tmp_path, env={"PATH": PATH}, timeout=60, on_line=watch.see)
    assert watch.meaning == "a shell script has Windows line endings (CRLF)"


MAVEN = """\
[INFO] --- maven-surefire-plugin:3.0.0:test (default-test) @ a ---
java.net.UnknownHostException: nowhere
[INFO] --- maven-compiler-plugin:3.11.0:compile (default-compile) @ b ---
[ERROR] /w/Pump.java:[3,12] ';' expected
[INFO] BUILD FAILURE
[INFO] Total time:  1 s
"""
MAVEN_REPORTS = [
    (
        (
            "[ERROR] Failed to execute goal a:frontend-maven-plugin:1:npm (build) on project web: "
            "Failed to run task: 'npm run build' failed. -> [Help 1]"
        ),
        (
            "the Maven goal a:frontend-maven-plugin:1:npm failed: Failed to run task: 'npm run "
            "build' failed"
        ),
    ),
    (
        (
            "[ERROR] Failed to execute goal org.x:maven-compiler-plugin:3.11.0:compile "
            "(default-compile) on project b: Compilation failure\n"
            "[ERROR] symbol: java.net.UnknownHostException: x\n[ERROR] -> [Help 1]"
        ),
        "the sources don't compile: Pump.java:3: error: ';' expected",
    ),
    (
        (
            "[ERROR] Failed to execute goal org.x:maven-surefire-plugin:3.0.0:test "
            "(default-test) on "
            "project a: There are test failures."
        ),
        "the project's tests failed",
    ),
    (
        (
            "[ERROR] Failed to execute goal on project b: Could not resolve dependencies: "
            "Could not "
            "transfer artifact a:b:pom:1 from/to nexus (https://nexus.example/maven): "
            "authentication "
            "failed for https://nexus.example/maven/a.pom, status: 401 Unauthorized -> [Help 1]"
        ),
        "nexus.example refused access to the build (status 401)",
    ),
    (
        (
            "[ERROR] Failed to execute goal on project b: Could not resolve dependencies: "
            "Could not "
            "transfer artifact a:b:pom:1 from/to x (https://nexus.example): nexus.example: Name or "
            "service not known -> [Help 1]"
        ),
        "the host name of nexus.example could not be resolved: no network, no DNS, or a wrong name",
    ),
    (
        (
            "[ERROR] Failed to execute goal org.x:maven-toolchains-plugin:3.1.0:toolchain "
            "(default) on "
            "project b: Cannot find matching toolchain definitions for the following "
            "toolchain types:\n"
            "[ERROR] jdk [ vendor='x', version='11' ]\n[ERROR] Define them in toolchains.xml"
        ),
        "the build needs JDK 11, which is not installed",
    ),
    (
        (
            "[ERROR] Failed to execute goal org.x:maven-compiler-plugin:3.11.0:compile "
            "(default) on "
            "project b: Fatal error compiling: error: release version 21 not supported -> [Help 1]"
        ),
        "the JDK is too old for the sources, which need Java 21",
    ),
]


@pytest.mark.parametrize(("report", "meaning"), MAVEN_REPORTS)
def test_mavens_first_error_explains(report: str, meaning: str) -> None:
    assert explained(MAVEN + report).meaning == meaning


@pytest.mark.parametrize("cause", causes.CAUSES, ids=lambda cause: cause.pattern.pattern[:40])
@given(data=st.data())
def test_no_line_that_shows_a_cause_is_passed_over(
    cause: causes.Cause, data: st.DataObject
) -> None:
    line = data.draw(st.from_regex(cause.pattern).filter(cause.pattern.search))
    assert any(word in line for word in causes._TELLING), line
