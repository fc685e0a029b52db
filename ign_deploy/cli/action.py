"""The container action: INPUT_* becomes the command line, and the workspace is the host's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_DEFAULT_COMMAND = "module"


def is_action(env: Mapping[str, str]) -> bool:
    """Return whether the process was started as a GitHub action (there are inputs)."""
    return env.get("GITHUB_ACTIONS") == "true" and any(name.startswith("INPUT_") for name in env)


def action_arguments(env: Mapping[str, str]) -> list[str]:
    """Return the command and its paths from INPUT_COMMAND and INPUT_PATH (one path a line).

    Options aren't put on the command line: the settings read them from INPUT_* themselves. Outside
    an action, it is the help.
    """
    if not is_action(env):
        return ["--help"]
    command = env.get("INPUT_COMMAND", "").strip() or _DEFAULT_COMMAND
    paths = [line.strip() for line in env.get("INPUT_PATH", "").splitlines() if line.strip()]
    # "--": a path that begins with a dash is a path.
    return [command, "--", *paths] if paths else [command]


_PATH_INPUTS = ("INPUT_PATH", "INPUT_TRUST-ANCHOR")


def enter_workspace(env: Mapping[str, str]) -> None:
    """Resolve relative inputs against the workspace, wherever the container was started."""
    workspace = env.get("GITHUB_WORKSPACE", "")
    if is_action(env) and os.path.isdir(workspace):
        os.chdir(workspace)


def with_local_paths(env: Mapping[str, str]) -> Mapping[str, str]:
    """Return ``env`` with the runner machine's paths in inputs as they are in the container.

    The runner translates its workspace (``/home/runner/work/<repository>/<repository>``) only at
    the start of an input, not in further lines. A path that exists here is kept.
    """
    workspace = env.get("GITHUB_WORKSPACE", "").rstrip("/")
    repository = env.get("GITHUB_REPOSITORY", "").rpartition("/")[2]
    if not is_action(env) or not workspace or not repository:
        return env
    translated = {
        name: "\n".join(
            _local_path(line.strip(), workspace=workspace, repository=repository)
            for line in env[name].splitlines()
        )
        for name in _PATH_INPUTS
        if env.get(name)
    }
    return {**env, **translated}


def _local_path(path: str, *, workspace: str, repository: str) -> str:
    if not path.startswith("/") or os.path.lexists(path):
        return path
    _, found, rest = f"{path}/".partition(f"/{repository}/{repository}/")
    return f"{workspace}/{rest}".rstrip("/") if found else path


@contextmanager
def restored_ownership(env: Mapping[str, str]) -> Iterator[None]:
    """Give files that a command made as root to the owner of their folder, also on failure."""
    if os.geteuid() != 0:
        yield
        return
    from ign_deploy.packaging.ownership import giving_back

    with giving_back(_written_folders(env)):
        yield


def _written_folders(env: Mapping[str, str]) -> Iterator[Path]:
    from ign_deploy.ci.host import detect_host, workspace_of

    yield Path(workspace_of(detect_host(env, is_terminal=False), env) or ".")
    if env.get("GITHUB_ACTIONS") == "true":
        # Mounted as well, and kept for later steps.
        for name in ("HOME", "RUNNER_TEMP", "GRADLE_USER_HOME"):
            if env.get(name):
                yield Path(env[name])
