"""What happens to a process in a container: other commands, and unknown users.

Jenkins starts an image with ``cat`` to keep it alive, GitLab with a shell: the entrypoint hands
over to them. And Jenkins runs as its own user, for whom the image has neither name nor home.
Every start passes through here, so nothing is imported that takes time.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping, Sequence

_CANNOT_EXECUTE = 126
"""The exit code of shells for a program that is there but doesn't start."""


def other_program(argv: Sequence[str], env: Mapping[str, str]) -> str | None:
    """Return the path of the program that ``argv`` asks for, None when it asks for us.

    Our commands and options come first: ``install`` is one of ours, whatever is on PATH.
    """
    if len(argv) < 2 or not argv[1] or argv[1].startswith("-"):
        return None
    import shutil

    program = shutil.which(argv[1], path=env.get("PATH", os.defpath))
    if program is None:
        return None
    import click

    from ign_deploy.cli import deployment_cli

    ours = deployment_cli.list_commands(click.Context(deployment_cli))
    return None if argv[1] in ours else program


def become(program: str, arguments: Sequence[str], env: Mapping[str, str]) -> int:
    """Replace this process by ``program``; returns an exit code only when that fails."""
    try:
        os.execve(program, list(arguments), dict(env))  # noqa: S606 - no shell, on purpose
    except OSError as cause:
        sys.stderr.write(f"error: cannot run {program!r}: {cause.strerror or cause}\n")
        return _CANNOT_EXECUTE


def with_home(env: Mapping[str, str]) -> Mapping[str, str]:
    """Return ``env`` with a HOME, and a GRADLE_USER_HOME, that children can write to.

    Unchanged when HOME is writable already, or when no folder is.
    """
    home = env.get("HOME", "")
    if home and os.path.isdir(home) and os.access(home, os.W_OK | os.X_OK):
        return env
    own = _own_folder(env)
    if own is None:
        return env
    return {"GRADLE_USER_HOME": os.path.join(own, ".gradle"), **env, "HOME": own}


def _own_folder(env: Mapping[str, str]) -> str | None:
    """Return a folder of ours among the temporary files, the same in every step of a job."""
    name = f"ign-deploy-home-{os.geteuid()}"
    # The usual names; what is already there is checked first.
    shared = ("/tmp", "/var/tmp")  # noqa: S108 - see _is_made_ours
    for parent in (env.get("RUNNER_TEMP"), env.get("TMPDIR"), *shared):
        if parent and _is_made_ours(folder := os.path.join(parent, name)):
            return folder
    return None


def _is_made_ours(folder: str) -> bool:
    """Make a private folder; False when it can't be made or used.

    Others can write to /tmp, too: a folder, or a link, that they made is not taken.
    """
    try:
        os.mkdir(folder, 0o700)  # noqa: PTH102 - pathlib takes 4 ms to import
    except FileExistsError:
        pass
    except OSError:
        return False
    try:
        about = os.lstat(folder)
    except OSError:
        return False
    is_private = stat.S_ISDIR(about.st_mode) and not about.st_mode & 0o077
    return is_private and about.st_uid == os.geteuid() and os.access(folder, os.W_OK | os.X_OK)
