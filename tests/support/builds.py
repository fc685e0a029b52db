"""Projects and stand-ins for build tools."""

from __future__ import annotations

from pathlib import Path

# The tools that the stand-ins' shell scripts use, and Java.
PATH = "/usr/local/bin:/usr/bin:/bin"
# Options of a Java that runs for seconds: half the processor time.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
EXAMPLE = Path(__file__).parents[2] / "examples" / "gradle-module"


def script(path: Path, *lines: str) -> Path:
    """Write an executable shell script that stops at the first failing command."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\nset -eu\n" + "\n".join(lines) + "\n")
    path.chmod(0o755)
    return path


def gradle_wrapper(root: Path, *lines: str, version: str = "8.5") -> Path:
    """Make ``root`` a Gradle project whose wrapper is a shell script of these lines."""
    script(root / "gradlew", *lines).chmod(0o644)
    (root / "settings.gradle").touch()
    folder = root / "gradle" / "wrapper"
    folder.mkdir(parents=True)
    (folder / "gradle-wrapper.jar").touch()
    (folder / "gradle-wrapper.properties").write_text(
        "distributionBase=GRADLE_USER_HOME\n"
        rf"distributionUrl=https\://services.gradle.org/distributions/gradle-{version}-bin.zip"
        "\n"
    )
    return root


def fake_java(home: Path, release: str) -> Path:
    """Make a JAVA_HOME whose ``java -version`` tells this version."""
    script(home / "bin" / "java", f"""echo 'openjdk version "{release}" 2025-04-15' >&2""")
    return home
