"""Running as root in a workspace that belongs to someone else, as a container action does."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ign_deploy.files import read_regular
from ign_deploy.packaging.tree import change_owner, entries_of

_ROOT = 0
_MAX_GIT_FILE = 1 << 14


@contextmanager
def giving_back(folders: Iterable[Path]) -> Iterator[None]:
    """Run the block; then give what it created below ``folders`` to each folder's owner.

    A container action runs as root on a workspace that belongs to the runner's user, who couldn't
    even delete what root leaves there. What was root's before stays root's. Does nothing for other
    users, in root's own folders, and in missing folders. Links are changed themselves, never
    followed.
    """
    before = {folder: _identities(folder) for folder in _of_others(folders)}
    try:
        yield
    finally:
        for folder, known in before.items():
            with suppress(OSError):  # the folder itself is gone
                give_back(folder, known=known)


def give_back(folder: Path, *, known: frozenset[tuple[str, int]] = frozenset()) -> int:
    """Give everything of root's below ``folder``, except ``known``, to its owner; return how many.

    ``known`` holds paths with their inode numbers. A file with several names is skipped: one of
    them may be outside, and the folder's owner may delete it anyway.
    """
    owner = folder.stat()
    changed = 0
    for entry in entries_of(str(folder), device=owner.st_dev, uid=_ROOT):
        is_shared = entry.status.st_nlink > 1 and not stat.S_ISDIR(entry.status.st_mode)
        if is_shared or entry.identity in known:
            continue
        changed += change_owner(entry, owner.st_uid, owner.st_gid)
    return changed


def git_variables(folder: Path, *, uid: int) -> dict[str, str]:
    """Return variables that make Git, run by user ``uid``, read another user's working tree.

    Git refuses to (CVE-2022-24765), and versions made by ``git describe`` would be empty. Trusting
    that tree's configuration adds nothing to running its build.
    """
    tree = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)
    if tree is None:
        return {}
    if {tree.stat().st_uid, (tree / ".git").stat().st_uid} == {uid}:
        return {}
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": str(tree.resolve()),
    }


def git_paths(folder: Path) -> tuple[Path, ...]:
    """Return what makes a folder a git checkout, existing or not: ``.git``, and where it leads.

    In a submodule or another working tree, ``.git`` is a file that names the repository.
    """
    git = folder / ".git"
    try:
        text = os.fsdecode(read_regular(git, limit=_MAX_GIT_FILE, follow_links=False))
    except OSError:
        return (git,)
    return (git, folder / text.removeprefix("gitdir:").strip())


def _of_others(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the folders that belong to users other than root, each once, links resolved."""
    if os.geteuid() != _ROOT:
        return
    seen: set[Path] = set()
    for folder in folders:
        try:
            real = folder.resolve(strict=True)
            is_others = real.is_dir() and real.stat().st_uid != _ROOT
        except OSError:
            continue
        if is_others and real not in seen:
            seen.add(real)
            yield real


def _identities(folder: Path) -> frozenset[tuple[str, int]]:
    device = folder.stat().st_dev
    entries = entries_of(str(folder), device=device, uid=_ROOT)
    return frozenset(entry.identity for entry in entries)
