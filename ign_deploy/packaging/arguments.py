"""The command line of a build: the user's arguments, with the usual tasks when they name none."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence

from ign_deploy.errors import ConfigurationError

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
    return tuple(arguments) if _names_task(arguments, value_options) else (*arguments, *defaults)


def shown(arguments: Sequence[str]) -> str:
    """Return a command line for the log, without the values of secret properties."""
    return shlex.join(_SECRET_PROPERTY.sub(r"\1=***", argument) for argument in arguments)


def _names_task(arguments: Sequence[str], value_options: Collection[str]) -> bool:
    is_value = False
    for argument in arguments:
        if not is_value and not argument.startswith("-"):
            return True
        is_value = not is_value and argument in value_options
    return False
