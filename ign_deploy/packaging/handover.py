"""A folder handed over to the user that builds, and given back as it was.

Only the owner changes, never a group or the content. What a build must not change, such as
``.git``, keeps its owner, and so do the folders it lies in: they become writable for the user's
group, and sticky, so that the user can add names but neither rename nor remove those of others.
Where everyone may write to it, as after a ``umask`` of 0, they may not until it is given back.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.packaging.tree import FolderEntry, change_owner, entries_of, open_folder
from ign_deploy.process import Account

_SET_ID = stat.S_ISUID | stat.S_ISGID
_SHARED = stat.S_ISVTX | stat.S_IRWXG


@dataclass(frozen=True, slots=True)
class Handover:
    """What to restore: who owned the folder, and what in it wasn't like that.

    ``owners`` has paths with inode numbers of what belonged to others; ``shared`` the folders that
    kept their owner; ``writable`` what everyone could write to, and must not meanwhile.
    """

    folder: Path
    account: Account
    owner: tuple[int, int]
    owners: dict[tuple[str, int], tuple[int, int]]
    shared: dict[str, os.stat_result]
    writable: dict[str, os.stat_result]


def hand_over(folder: Path, *, account: Account, kept: Iterable[Path] = ()) -> Handover:
    """Give everything in ``folder`` to the account, except what is ``kept``.

    Files with several names are skipped: one of them may be outside. ``hand_back`` undoes it.
    Raises OSError.
    """
    top = folder.resolve(strict=True)
    # A link and what it leads to, both without links on the way.
    skip = {name for path in kept for name in (os.path.realpath(path), _without_links(path))}
    shared = {str(top), *(str(each) for path in skip for each in _between(top, Path(path)))}
    handover = Handover(top, account, _owner(top, account), {}, {}, {})
    _share(handover, str(top))
    for entry in entries_of(str(top), device=top.stat().st_dev, skip=skip):
        status = entry.status
        if status.st_uid == account.uid:
            continue
        if entry.path in shared and stat.S_ISDIR(status.st_mode):
            _share(handover, entry.path)
        elif _can_be_given(status):
            if (status.st_uid, status.st_gid) != handover.owner:
                handover.owners[entry.identity] = (status.st_uid, status.st_gid)
            change_owner(entry, account.uid, -1)
    for path in sorted(skip):
        _protect(handover, path)
    return handover


def hand_back(handovers: Sequence[Handover]) -> None:
    """Restore the owners; what is new gets the folder's owner. Never fails half-way.

    Folders may lie in each other: ``handovers`` are all there are, in the order they were made.
    """
    for handover in handovers:
        with suppress(OSError):  # the folder itself is gone
            device = handover.folder.stat().st_dev
            for entry in entries_of(str(handover.folder), device=device, uid=handover.account.uid):
                uid, gid = handover.owners.get(entry.identity, _new_owner(handover, entry))
                change_owner(entry, uid, gid)
    for handover in reversed(handovers):
        for path, status in handover.shared.items():
            with _opened(path, status) as descriptor:
                if descriptor is not None:
                    os.chown(descriptor, -1, status.st_gid)
                    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
        for path, status in handover.writable.items():
            _change_mode(path, status, stat.S_IMODE(status.st_mode))


def _new_owner(handover: Handover, entry: FolderEntry) -> tuple[int, int]:
    """Return whom a new file belongs to; a set-group-ID folder has chosen the group already."""
    uid, gid = handover.owner
    return uid, gid if entry.status.st_gid == handover.account.gid else -1


def _share(handover: Handover, path: str) -> None:
    """Let the account's group add names to a folder, and change none of others."""
    status = os.lstat(path)
    if status.st_uid == handover.account.uid:
        return
    with _opened(path, status) as descriptor:
        if descriptor is not None:
            handover.shared[path] = status
            os.chown(descriptor, -1, handover.account.gid)
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) | _SHARED)


def _protect(handover: Handover, path: str) -> None:
    """Take the permission to write to ``path``, and to all below it, from everyone else."""
    with suppress(OSError):  # it isn't there
        top = os.lstat(path)
        below = entries_of(path, device=top.st_dev)
        for name, status in ((path, top), *((each.path, each.status) for each in below)):
            is_plain = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
            if is_plain and status.st_mode & stat.S_IWOTH:
                handover.writable[name] = status
                _change_mode(name, status, stat.S_IMODE(status.st_mode) & ~stat.S_IWOTH)


def _change_mode(path: str, status: os.stat_result, mode: int) -> None:
    with suppress(OSError):  # gone by now
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_ino == status.st_ino:
                os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)


@contextmanager
def _opened(path: str, status: os.stat_result) -> Iterator[int | None]:
    """Open a folder; None when it isn't the one that ``status`` is of."""
    descriptor = open_folder(path)
    if descriptor is None:
        yield None
        return
    try:
        is_same = os.fstat(descriptor).st_ino == status.st_ino
        yield descriptor if is_same else None
    finally:
        os.close(descriptor)


def _without_links(path: Path) -> str:
    return os.path.join(os.path.realpath(path.parent), path.name)


def _between(top: Path, path: Path) -> list[Path]:
    """Return the folders below ``top`` in which ``path`` lies."""
    return [each for each in path.parents if each != top and each.is_relative_to(top)]


def _owner(folder: Path, account: Account) -> tuple[int, int]:
    """Return who owns a folder; its parent's owner where a killed run left it to the account."""
    for each in (folder, *folder.parents):
        status = each.stat()
        if status.st_uid != account.uid:
            return status.st_uid, status.st_gid
    return 0, 0


def _can_be_given(status: os.stat_result) -> bool:
    """Return whether it is a folder, a link, or a plain file with one name: no device, no socket.

    A change of owner takes set-user-ID and set-group-ID from a file, so that it is left as it is.
    """
    mode = status.st_mode
    is_plain = stat.S_ISREG(mode) and status.st_nlink == 1 and not mode & _SET_ID
    return stat.S_ISDIR(mode) or stat.S_ISLNK(mode) or is_plain
