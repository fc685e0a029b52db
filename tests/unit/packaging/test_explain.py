"""Explanations of the failing lines of real builds."""

from __future__ import annotations

import time

import pytest

from ign_deploy.packaging.explain import FailureWatch

LINES = [
    ("ERROR: JAVA_HOME is set to an invalid directory: /opt/none", "without Java: /opt/none"),
    ("ERROR: JAVA_HOME is not set and no 'java' command could be found in your PATH.", "no Java"),
    ("Unsupported class file major version 65", "class file version 65"),
    (
        "Error: Could not find or load main class org.gradle.wrapper.GradleWrapperMain",
        "gradle-wrapper.jar is missing",
    ),
    ("Error: Unable to access jarfile gradle/wrapper/gradle-wrapper.jar", "jar is missing"),
    ("java.net.UnknownHostException: plugins.gradle.org", "no DNS plugins.gradle.org"),
    ("> repo.example: Name or service not known", "a host could not be resolved"),
    ("\tat org.gradle.wrapper.Download.downloadInternal(Download.java:97)", "download Gradle"),
    ("> Connect to repo:443 failed: Connection refused", "could not be reached"),
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
        assert "a host could not be resolved" in watch.meaning


def test_other_lines_mean_nothing() -> None:
    watch = FailureWatch()
    watch.see("BUILD FAILED in 3s {0}")
    assert watch.meaning == ""
    assert watch.hint == "read the build's output above."


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
