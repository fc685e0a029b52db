"""How Maven is called: never with `install`, which makes some projects post to a gateway."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ign_deploy.packaging.arguments import MAVEN_VALUE_OPTIONS, with_tasks
from ign_deploy.packaging.detect import MAVEN_FILE, Project

DEFAULT_GOALS = ("clean", "package")
_FIXED = ("-B", "-ntp")
_TIMESTAMP = "project.build.outputTimestamp"
# The earliest time that a ZIP can store and that Maven accepts for its archives.
_EARLIEST = 315_532_802
_SECONDS = re.compile(r"[0-9]{1,12}")


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
    return (*project.tool, *_FIXED, *timestamp, *chosen)


def maven_variables(env: Mapping[str, str]) -> dict[str, str]:
    """Return variables that make Maven use HOME: the JVM would ask the account database."""
    home = env.get("HOME", "")
    if not home or any(character.isspace() for character in home):
        return {}
    return {"MAVEN_OPTS": f"-Duser.home={home} {env.get('MAVEN_OPTS', '')}".strip()}


def _sets_timestamp(project: Project) -> bool:
    try:
        return _TIMESTAMP.encode() in (project.root / MAVEN_FILE).read_bytes()
    except OSError:
        return False
