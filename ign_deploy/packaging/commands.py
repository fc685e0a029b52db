"""How Gradle and Maven are called: their command lines and their environments.

Maven never gets ``install``, which makes some projects post to a gateway.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Collection, Mapping, Sequence
from importlib import resources
from pathlib import Path

from ign_deploy.errors import ConfigurationError, PackagingError
from ign_deploy.files import explain_os_error, read_regular
from ign_deploy.packaging.java import Version
from ign_deploy.packaging.project import MAVEN_FILE, Project

_SECRET_PROPERTY = re.compile(
    r"^((?:-[PD])?[^=]*(?:pass|secret|token|credential|key)[^=]*)=.*", re.IGNORECASE | re.DOTALL
)
# Options whose value is the next argument, which is not a task.
GRADLE_VALUE_OPTIONS = frozenset(
    {
        *("-x", "--exclude-task", "-p", "--project-dir", "-b", "--build-file"),
        *("-c", "--settings-file", "-I", "--init-script", "-g", "--gradle-user-home"),
        *("-P", "--project-prop", "-D", "--system-prop", "--project-cache-dir", "--max-workers"),
        *("--include-build", "--console", "--priority", "--warning-mode"),
        *("-F", "--dependency-verification", "-M", "--write-verification-metadata"),
    }
)
MAVEN_VALUE_OPTIONS = frozenset(
    {
        *("-f", "--file", "-s", "--settings", "-gs", "--global-settings", "-l", "--log-file"),
        *("-t", "--toolchains", "-gt", "--global-toolchains", "-pl", "--projects"),
        *("-rf", "--resume-from", "-P", "--activate-profiles", "-D", "--define"),
        *("-T", "--threads", "-b", "--builder", "-color", "--color"),
    }
)

DEFAULT_TASKS = ("clean", "zipModule")
_INIT_SCRIPT = "ign-deploy.init.gradle"
_MODULE_LIST = "modules.json"
# Larger than any real project file that we look into.
_MAX_FILE = 16 << 20
WRAPPER_PROPERTIES = Path("gradle", "wrapper", "gradle-wrapper.properties")
WRAPPER_JAR = Path("gradle", "wrapper", "gradle-wrapper.jar")
_DOTTED = r"[0-9]{1,6}(?:\.[0-9]{1,6}){1,3}"
_DISTRIBUTION = re.compile(rf"^\s*distributionUrl\s*[=:].*?gradle-({_DOTTED})", re.MULTILINE)
_OWN_VERSION = re.compile(rf"^Gradle ({_DOTTED})", re.MULTILINE)
# Only what Gradle 4.4 knows, too; it ignores system properties that it doesn't know. From a cached
# configuration, the init script wouldn't run.
_GRADLE_OPTIONS = (
    "--no-daemon",
    "--console=plain",
    "-Dorg.gradle.configuration-cache=false",
)

DEFAULT_GOALS = ("clean", "package")
_MAVEN_OPTIONS = ("-B", "-ntp")
_TIMESTAMP = "project.build.outputTimestamp"
# The earliest time that a ZIP can store and that Maven accepts for its archives.
_EARLIEST = 315_532_802
_SECONDS = re.compile(r"[0-9]{1,12}")


def split_arguments(text: str) -> tuple[str, ...]:
    """Split as a shell does, without running one. Raises ConfigurationError for an open quote."""
    try:
        return tuple(shlex.split(text))
    except ValueError as cause:
        raise ConfigurationError(
            f"the build arguments can't be split: {cause}", hint="close every quotation mark."
        ) from cause


def with_tasks(
    arguments: Sequence[str], *, defaults: Sequence[str], value_options: Collection[str]
) -> tuple[str, ...]:
    """Return the arguments, followed by the default tasks unless they name a task themselves."""
    return tuple(arguments) if names_task(arguments, value_options) else (*arguments, *defaults)


def format_command(arguments: Sequence[str]) -> str:
    """Return a command line for the log, without the values of secret properties."""
    return shlex.join(_SECRET_PROPERTY.sub(r"\1=***", argument) for argument in arguments)


def names_task(arguments: Sequence[str], value_options: Collection[str]) -> bool:
    """Return whether one of the arguments is a task, rather than an option or its value."""
    is_value = False
    for argument in arguments:
        if not is_value and not argument.startswith("-"):
            return True
        is_value = not is_value and argument in value_options
    return False


def build_command(
    project: Project,
    *,
    arguments: Sequence[str],
    env: Mapping[str, str],
    private: Path,
    verbose: bool = False,
) -> tuple[str, ...]:
    """Return the build's command line; Gradle's init script is in the folder ``private``.

    Only a ``verbose`` build shows where in Gradle it failed: fifty lines below the one that counts.
    """
    if project.kind.is_maven:
        return maven_build_command(project, arguments=arguments, env=env)
    return gradle_build_command(
        project,
        arguments=arguments,
        init_script=private / _INIT_SCRIPT,
        module_list=module_list(private),
        verbose=verbose,
    )


def module_list(private: Path) -> Path:
    """Return the file in the folder ``private`` in which the init script lists the modules."""
    return private / _MODULE_LIST


def gradle_build_command(
    project: Project,
    *,
    arguments: Sequence[str],
    init_script: Path,
    module_list: Path,
    verbose: bool = False,
) -> tuple[str, ...]:
    """Return Gradle's command line; ``module_list`` is the file that the init script writes."""
    chosen = with_tasks(arguments, defaults=DEFAULT_TASKS, value_options=GRADLE_VALUE_OPTIONS)
    listing = f"-Dign.deploy.modules={module_list}"
    options = (*_GRADLE_OPTIONS, "--stacktrace") if verbose else _GRADLE_OPTIONS
    return (*project.tool, *options, "-I", str(init_script), listing, *chosen)


def gradle_list_command(
    project: Project, *, init_script: Path, module_list: Path
) -> tuple[str, ...]:
    """Return the command line that configures the project and builds nothing."""
    listing = f"-Dign.deploy.modules={module_list}"
    return (*project.tool, *_GRADLE_OPTIONS, "-I", str(init_script), listing, "-q", "help")


def write_init_script(folder: Path) -> Path:
    """Write the init script into ``folder`` and return its path; raises PackagingError."""
    script = folder / _INIT_SCRIPT
    source = resources.files("ign_deploy.packaging").joinpath("init.gradle")
    hint = "free disk space, or set TMPDIR to another folder."
    with explain_os_error("write", script, error=PackagingError, hint=hint):
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
        text = read_regular(root / WRAPPER_PROPERTIES, limit=_MAX_FILE).decode("latin-1")
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


def maven_build_command(
    project: Project, *, arguments: Sequence[str], env: Mapping[str, str]
) -> tuple[str, ...]:
    """Return Maven's command line; it asks for reproducible archives unless the project does."""
    chosen = with_tasks(arguments, defaults=DEFAULT_GOALS, value_options=MAVEN_VALUE_OPTIONS)
    timestamp: tuple[str, ...] = ()
    if not _sets_timestamp(project):
        epoch = env.get("SOURCE_DATE_EPOCH", "").strip()
        moment = max(int(epoch), _EARLIEST) if _SECONDS.fullmatch(epoch) else _EARLIEST
        timestamp = (f"-D{_TIMESTAMP}={moment}",)
    return (*project.tool, *_MAVEN_OPTIONS, *timestamp, *chosen)


def maven_variables(env: Mapping[str, str]) -> dict[str, str]:
    """Return variables that make Maven use HOME: the JVM would ask the account database."""
    home = env.get("HOME", "")
    if not home or any(character.isspace() for character in home):
        return {}
    return {"MAVEN_OPTS": f"-Duser.home={home} {env.get('MAVEN_OPTS', '')}".strip()}


def _sets_timestamp(project: Project) -> bool:
    try:
        return _TIMESTAMP.encode() in read_regular(project.root / MAVEN_FILE, limit=_MAX_FILE)
    except OSError:
        return False
