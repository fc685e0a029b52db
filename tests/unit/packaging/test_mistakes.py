"""Errors in sources and build scripts, as real compilers and Gradle write them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ign_deploy.errors import PackagingError
from ign_deploy.packaging.explain import FailureWatch, build_error
from ign_deploy.packaging.mistakes import Mistake, compiler_mistake
from ign_deploy.pipeline.run_report import problem_findings

LINES = {
    "/w/my src/Hook.java:13: error: cannot find symbol": (
        Mistake("/w/my src/Hook.java", 13, "cannot find symbol"),
        "Hook.java:13: error: cannot find symbol",
    ),
    "src/Hook.java:13: error: ';' expected": (
        Mistake("src/Hook.java", 13, "';' expected"),
        "Hook.java:13: error: ';' expected",
    ),
    "[ERROR] /w/Hook.java:[13,5] cannot find symbol": (
        Mistake("/w/Hook.java", 13, "cannot find symbol", 5),
        "Hook.java:13: error: cannot find symbol",
    ),
    "[ERROR] /w/Hook.java:[13,5] error: cannot find symbol": (
        Mistake("/w/Hook.java", 13, "cannot find symbol", 5),
        "Hook.java:13: error: cannot find symbol",
    ),
    "e: file:///w/my%20src/Hook.kt:13:5 Unresolved reference: x": (
        Mistake("/w/my src/Hook.kt", 13, "Unresolved reference: x", 5),
        "Hook.kt:13: error: Unresolved reference: x",
    ),
    "e: /w/Hook.kt: (13, 5): Unresolved reference: x": (
        Mistake("/w/Hook.kt", 13, "Unresolved reference: x", 5),
        "Hook.kt:13: error: Unresolved reference: x",
    ),
    "/w/Hook.groovy: 13: unable to resolve class Pump @ line 13, column 5.": (
        Mistake("/w/Hook.groovy", 13, "unable to resolve class Pump"),
        "Hook.groovy:13: error: unable to resolve class Pump",
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_a_compilers_error_has_its_place_and_is_quoted(line: str) -> None:
    mistake, quoted = LINES[line]
    assert compiler_mistake(line) == mistake
    assert mistake.quoted == quoted


@pytest.mark.parametrize(
    "line",
    [
        "/w/Hook.java:13: warning: [deprecation] x",
        "w: file:///w/Hook.kt:13:5 unused",
        "    at com.example.Hook.run(Hook.java:13)",
        "Hook.java:99999999999: error: x",
        "13: error: x",
        ".java:13: error: x",
        "/w/Hook.class:13: error: x",
    ],
)
def test_other_lines_are_not_mistakes(line: str) -> None:
    assert compiler_mistake(line) is None


@pytest.mark.parametrize("text", ["/" * 9000, "a.java" * 1500, ("a:" * 900 + "/a.java") * 4])
def test_a_line_made_to_be_slow_is_not(text: str) -> None:
    start = time.process_time()
    compiler_mistake(text)
    assert time.process_time() - start < 1


SCRIPTS = {
    "groovy": (
        """FAILURE: Build failed with an exception.

* Where:
Build file 'ROOT/build.gradle' line: 3

* What went wrong:
A problem occurred evaluating root project 'pump'.
> Could not find method foo() for arguments [1] on root project 'pump'.
""",
        (
            "Gradle could not configure root project 'pump': build.gradle:3: error: Could not find "
            "method foo() for arguments [1] on root project 'pump'"
        ),
    ),
    "syntax": (
        """FAILURE: Build failed with an exception.

* Where:
Build file 'ROOT/build.gradle' line: 3

* What went wrong:
Could not compile build file 'ROOT/build.gradle'.
> startup failed:
  build file 'ROOT/build.gradle': 3: unexpected token: } @ line 3, column 1.
     }
     ^
""",
        "a build script has an error: build.gradle:3: error: unexpected token: }",
    ),
    "kotlin": (
        """FAILURE: Build failed with an exception.

* Where:
Build file 'ROOT/build.gradle.kts' line: 3

* What went wrong:
Script compilation error:

  Line 3:     foo()
              ^ Unresolved reference: foo

1 error
""",
        "a build script has an error: build.gradle.kts:3: error: Unresolved reference: foo",
    ),
}


def failed(text: str, root: Path) -> PackagingError:
    watch = FailureWatch()
    for line in text.split("\n"):
        watch.see(line)
    return build_error(f"Gradle failed: {watch.meaning}", watch, root=root)


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_error_in_a_build_script_has_its_place_and_is_quoted(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, meaning = SCRIPTS[name]
    script = "build.gradle.kts" if name == "kotlin" else "build.gradle"
    (tmp_path / "pump").mkdir()
    (tmp_path / "pump" / script).touch()
    monkeypatch.chdir(tmp_path)
    problem = failed(report.replace("ROOT", str(tmp_path / "pump")), tmp_path / "pump")
    assert problem.message == f"Gradle failed: {meaning}"
    ((finding, file),) = problem_findings(problem)
    assert (file, finding.line, finding.message) == (f"pump/{script}", 3, problem.message)


COMPILED = """> Task :compileJava FAILED
{first}:13: error: cannot find symbol
  symbol: class Gatewy
{second}:21: error: incompatible types
2 errors
FAILURE: Build failed with an exception.

* What went wrong:
Execution failed for task ':compileJava'.
> Compilation failed; see the compiler error output for details.
"""


def test_every_error_of_the_compiler_is_a_finding_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Hook.java").touch()
    path = tmp_path / "Hook.java"
    problem = failed(COMPILED.format(first=path, second=path), tmp_path)
    first, second = problem_findings(problem)
    assert "Hook.java:13: error: cannot find symbol" in first[0].message
    assert first[0].hint == "fix the sources; the build's log has every error."
    assert second[0].message == "Hook.java:21: error: incompatible types"
    assert second[0].hint == ""
    assert [(file, each.line) for each, file in (first, second)] == [
        ("Hook.java", 13),
        ("Hook.java", 21),
    ]


@pytest.mark.parametrize("named", ["/etc/passwd.java", "../Hook.java", "missing/Hook.java"])
def test_a_build_can_name_no_file_outside_its_project_or_that_is_not_there(
    named: str, tmp_path: Path
) -> None:
    root = tmp_path / "pump"
    root.mkdir()
    (tmp_path / "Hook.java").touch()
    problem = failed(COMPILED.format(first=named, second=named), root)
    assert {(file, each.line) for each, file in problem_findings(problem)} == {("", 0)}


def test_a_compiler_with_a_thousand_errors_makes_ten_findings(tmp_path: Path) -> None:
    lines = "\n".join(f"Hook.java:{number}: error: x" for number in range(1, 1001))
    problem = failed(COMPILED.format(first=lines, second="Hook.java"), tmp_path)
    assert len(problem_findings(problem)) == 10
