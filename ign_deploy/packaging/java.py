"""The Java that a build will run on, and which Gradle can run on which Java."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.process import Account, ProcessTimeout, build_environment, run_command

Version = tuple[int, ...]

_JAVA = re.compile(r'version "(?:1\.)?([0-9]{1,4})')
_PROBE_TIMEOUT = 60.0

# The newest Java that each Gradle can run on, by the Gradle that brought it; from Gradle's
# compatibility matrix.
_NEWEST_JAVA: tuple[tuple[Version, int], ...] = (
    ((9, 1), 25),
    ((8, 14), 24),
    ((8, 10), 23),
    ((8, 8), 22),
    ((8, 5), 21),
    ((8, 3), 20),
    ((7, 6), 19),
    ((7, 5), 18),
    ((7, 3), 17),
    ((7, 0), 16),
    ((6, 7), 15),
    ((6, 3), 14),
    ((6, 0), 13),
    ((5, 4), 12),
    ((5, 0), 11),
    ((4, 7), 10),
    ((4, 3), 9),
)
_OLDEST_JAVA: tuple[tuple[Version, int], ...] = (((9, 0), 17), ((5, 0), 8))


@dataclass(frozen=True, slots=True)
class Java:
    """A Java: its command and its feature release (8, 11, 17, …), 0 when unknown."""

    command: Path
    release: int


def java_command(env: Mapping[str, str]) -> Path | None:
    """Return the ``java`` that a build would use: JAVA_HOME's, else the one on PATH."""
    if is_java_home(env.get("JAVA_HOME", "")):
        return Path(env["JAVA_HOME"], "bin", "java")
    on_path = shutil.which("java", path=env.get("PATH", ""))
    return Path(on_path) if on_path else None


def is_java_home(folder: str) -> bool:
    """Return whether the folder has a Java that can be started."""
    return bool(folder) and shutil.which("java", path=str(Path(folder, "bin"))) is not None


def find_java(env: Mapping[str, str], *, account: Account | None = None) -> Java | None:
    """Return the Java that a build would use, with its version; None without any.

    With an ``account`` it is started as that user: an earlier build may have put it there.
    """
    command = java_command(env)
    if command is None:
        return None
    match = _JAVA.search(probe((str(command), "-version"), env, account=account))
    return Java(command, int(match[1]) if match else 0)


def probe(
    command: tuple[str, ...], env: Mapping[str, str], *, account: Account | None = None
) -> str:
    """Return a command's output, empty when it fails; it runs outside the project."""
    try:
        completed = run_command(
            command,
            cwd=Path("/"),
            env=build_environment(env),
            timeout=_PROBE_TIMEOUT,
            on_line=_ignore,
            account=account,
        )
    except ProcessTimeout:
        return ""
    return "\n".join(completed.tail) if completed.returncode == 0 else ""


def newest_java_for(gradle: Version) -> int:
    """Return the newest Java release that this Gradle can run on."""
    return next((java for since, java in _NEWEST_JAVA if gradle >= since), 8)


def oldest_java_for(gradle: Version) -> int:
    """Return the oldest Java release that this Gradle can run on."""
    return next((java for since, java in _OLDEST_JAVA if gradle >= since), 7)


def oldest_gradle_for(java: int) -> str:
    """Return the first Gradle that can run on this Java, empty when none is known."""
    fitting = [since for since, newest in _NEWEST_JAVA if newest >= java]
    return ".".join(map(str, fitting[-1])) if fitting else ""


def _ignore(line: str) -> None:
    """Ignore the line; the tail has it."""
