"""How Gradle is called: its command line and its environment."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from ign_deploy.packaging.arguments import GRADLE_VALUE_OPTIONS, with_tasks
from ign_deploy.packaging.detect import Project
from ign_deploy.packaging.java import Version

DEFAULT_TASKS = ("clean", "zipModule")
WRAPPER_PROPERTIES = Path("gradle", "wrapper", "gradle-wrapper.properties")
WRAPPER_JAR = Path("gradle", "wrapper", "gradle-wrapper.jar")
_DOTTED = r"[0-9]{1,6}(?:\.[0-9]{1,6}){1,3}"
_DISTRIBUTION = re.compile(rf"^\s*distributionUrl\s*[=:].*?gradle-({_DOTTED})", re.MULTILINE)
_OWN_VERSION = re.compile(rf"^Gradle ({_DOTTED})", re.MULTILINE)
# Only what Gradle 4.4 knows, too; it ignores system properties that it doesn't know. From a cached
# configuration, the init script wouldn't run.
_FIXED = (
    "--no-daemon",
    "--console=plain",
    "--stacktrace",
    "-Dorg.gradle.configuration-cache=false",
)


def gradle_build_command(
    project: Project, *, arguments: Sequence[str], init_script: Path, module_list: Path
) -> tuple[str, ...]:
    """Return Gradle's command line; ``module_list`` is the file that the init script writes."""
    chosen = with_tasks(arguments, defaults=DEFAULT_TASKS, value_options=GRADLE_VALUE_OPTIONS)
    listing = f"-Dign.deploy.modules={module_list}"
    return (*project.tool, *_FIXED, "-I", str(init_script), listing, *chosen)


def gradle_list_command(
    project: Project, *, init_script: Path, module_list: Path
) -> tuple[str, ...]:
    """Return the command line that configures the project and builds nothing."""
    listing = f"-Dign.deploy.modules={module_list}"
    return (*project.tool, *_FIXED, "-I", str(init_script), listing, "-q", "help")


def write_init_script(folder: Path) -> Path:
    """Write the init script into ``folder`` and return its path."""
    script = folder / "ign-deploy.init.gradle"
    source = resources.files("ign_deploy.packaging").joinpath("init.gradle")
    script.write_bytes(source.read_bytes())
    return script


def gradle_user_home(env: Mapping[str, str]) -> Path:
    """Return the folder for Gradle's caches, which must always be named.

    By itself, the JVM asks the account database, not HOME: in a container, that is a folder that
    isn't mounted, and for an unknown user a folder called ``?``.
    """
    named = Path(env.get("GRADLE_USER_HOME", ""))
    # Earlier steps may have set a path of the runner's machine, which doesn't exist here.
    if env.get("GRADLE_USER_HOME") and (named.is_dir() or named.parent.is_dir()):
        return named
    home = env.get("HOME", "")
    if home and os.access(home, os.W_OK | os.X_OK):
        return Path(home, ".gradle")
    return Path(runner_temp(env) or env.get("TMPDIR") or tempfile.gettempdir(), ".gradle")


def runner_temp(env: Mapping[str, str]) -> str | None:
    """Return the CI runner's folder for temporary files; None if it is missing or read-only.

    Older runners name it without mounting it.
    """
    folder = env.get("RUNNER_TEMP", "")
    is_usable = os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
    return folder if is_usable else None


def wrapper_version(root: Path) -> Version | None:
    """Return the Gradle version that the project's wrapper fetches, None when it is unknown."""
    try:
        text = (root / WRAPPER_PROPERTIES).read_text(encoding="latin-1")
    except OSError:
        return None
    match = _DISTRIBUTION.search(text)
    return parse_version(match[1]) if match else None


def reported_version(text: str) -> Version | None:
    """Return the version in what ``gradle --version`` printed."""
    match = _OWN_VERSION.search(text)
    return parse_version(match[1]) if match else None


def parse_version(text: str) -> Version:
    """Read dotted numbers."""
    return tuple(int(part) for part in text.split("."))
