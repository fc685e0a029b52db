"""The container door: a run without arguments takes its command line from the action's inputs."""

from __future__ import annotations

from collections.abc import Mapping

_DEFAULT_COMMAND = "module"


def is_action(env: Mapping[str, str]) -> bool:
    """Tell whether the process was started as a GitHub action (inputs are there)."""
    return env.get("GITHUB_ACTIONS") == "true" and any(name.startswith("INPUT_") for name in env)


def action_arguments(env: Mapping[str, str]) -> list[str]:
    """Return the command and its paths from INPUT_COMMAND and INPUT_PATH (one path a line).

    Options aren't put on the command line: the settings read them from INPUT_* themselves. Not an
    action: the help text.
    """
    if not is_action(env):
        return ["--help"]
    command = env.get("INPUT_COMMAND", "").strip() or _DEFAULT_COMMAND
    paths = [line.strip() for line in env.get("INPUT_PATH", "").splitlines() if line.strip()]
    # "--": a path that begins with a dash is a path.
    return [command, "--", *paths] if paths else [command]
