"""What a build leaves outside its project, where everyone may leave something: it is removed.

The next build runs as the same user, and would use it: Java keeps its temporary files in /tmp,
whatever TMPDIR says.
"""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from ign_deploy.packaging.private import PREFIX, remove_tree
from ign_deploy.process import Account

_SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue")  # noqa: S108 - nothing is made there


def shared_files_of(account: Account) -> frozenset[tuple[str, int]]:
    """Return the user's files and folders in shared folders: paths with inode numbers.

    Private folders of builds are left out: they may be another container's.
    """
    found: set[tuple[str, int]] = set()
    for folder in dict.fromkeys((*_SHARED, tempfile.gettempdir())):
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if status.st_uid == account.uid and not entry.name.startswith(PREFIX):
                        found.add((entry.path, status.st_ino))
    return frozenset(found)


def remove_leftovers_of(account: Account, *, before: frozenset[tuple[str, int]]) -> None:
    """Remove the user's files but those from ``before``, its shared memory and message queues.

    None of its processes may live.
    """
    for name, _ in shared_files_of(account) - before:
        with suppress(OSError):
            path = Path(name)
            if stat.S_ISDIR(path.lstat().st_mode):
                remove_tree(path)
            else:
                path.unlink()
    with suppress(OSError):  # it isn't installed
        # As the user: in a container, root may not.
        subprocess.run(
            ["ipcrm", "--all"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
