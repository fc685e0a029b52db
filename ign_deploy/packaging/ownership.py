"""A container works as root in somebody's workspace: what that needs before and after a build."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def give_back(folder: Path) -> int:
    """Give everything of root's below ``folder`` to the folder's owner; return how many.

    A container action runs as root on a workspace that belongs to the runner's user, who couldn't
    even delete what root leaves there. Does nothing for other users, or in root's own folders.
    Links are changed themselves, never followed.
    """
    if os.geteuid() != 0 or not folder.is_dir():
        return 0
    owner = folder.stat()
    if owner.st_uid == 0:
        return 0
    changed = 0
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(parent, name)
            with suppress(OSError):  # gone meanwhile, or a file system without owners
                if os.lstat(path).st_uid == 0:
                    os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
                    changed += 1
    return changed


def git_variables(folder: Path) -> dict[str, str]:
    """Return variables that make Git read a working tree of somebody else's around ``folder``.

    Git refuses to (CVE-2022-24765), and versions made by ``git describe`` would be empty. Trusting
    that tree's configuration adds nothing to running its build.
    """
    tree = next((place for place in (folder, *folder.parents) if (place / ".git").exists()), None)
    if tree is None or tree.stat().st_uid == os.geteuid():
        return {}
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": str(tree.resolve()),
    }
