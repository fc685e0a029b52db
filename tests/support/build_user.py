"""A user that builds, for tests as root, and folders that it can reach."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ign_deploy.packaging import account_lock
from ign_deploy.packaging.isolation import BUILD_USER
from ign_deploy.process import Account

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can build as another user")
OWNER = 1001
"""Whom a CI runner's workspace belongs to."""


def own_account() -> Account:
    """Return an account of this process alone: all its processes are killed."""
    number = 100_000 + os.getpid()
    return Account(BUILD_USER, number, number)


def add_build_user(patch: pytest.MonkeyPatch, locks: Path) -> Account:
    """Let the machine have the user, as far as this process knows.

    ``locks`` is where its builds are counted: a build of another test has another user.
    """
    account = own_account()
    patch.setattr(account_lock, "_FOLDERS", (str(locks),))
    entry = pwd.struct_passwd((account.name, "x", account.uid, account.gid, "", "/nonexistent", ""))
    patch.setattr(pwd, "getpwnam", {BUILD_USER: entry}.__getitem__)
    return account


def passwd_file(folder: Path, account: Account) -> Path:
    """Write an account database that has the user, too."""
    file = folder / "passwd"
    line = f"{account.name}:x:{account.uid}:{account.gid}::/nonexistent:/usr/sbin/nologin\n"
    file.write_text(Path("/etc/passwd").read_text() + line)
    return file


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """Make a folder that every user can reach, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="ign-deploy-test-"))
    folder.chmod(0o755)
    try:
        yield folder.resolve()
    finally:
        shutil.rmtree(folder)


def owned(folder: Path, owner: int = OWNER) -> Path:
    """Give a folder and all in it to a user."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner, follow_symlinks=False)
    return folder


def owners(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return user, group and mode of everything in a folder."""
    found = {path: path.lstat() for path in (folder, *sorted(folder.rglob("*")))}
    return {
        path.relative_to(folder).as_posix(): (status.st_uid, status.st_gid, status.st_mode)
        for path, status in found.items()
    }
