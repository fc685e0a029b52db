"""Finding the modules that a build made: by list, report or folder; only files of this run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.errors import PackagingError
from ign_deploy.files import explain_os_error, open_regular, read_regular

MODULE_SUFFIX = ".modl"
BUILD_REPORT = "buildResult.json"
_PRUNED = frozenset({".gradle", ".git", "node_modules", ".m2", ".gradle-home"})
_BUILD_FOLDERS = frozenset({"build", "target"})
_UNSIGNED = re.compile(r"([.-]unsigned)+(?=\.modl$)", re.I)
_LFS_MARK = b"version https://git-lfs.github.com/spec/"
_MAX_REPORT = 1 << 20


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes when a file is rewritten; no clock is involved."""

    mtime_ns: int
    size: int
    inode: int


Snapshot = Mapping[Path, Stamp]


def take_snapshot(root: Path) -> Snapshot:
    """Remember every module file below ``root``, before the build starts."""
    return {path: stamp for path in _walk(root) if (stamp := _stamp(path)) is not None}


def find_artifacts(root: Path, *, before: Snapshot, module_list: Path | None) -> tuple[Path, ...]:
    """Return the modules that were written since ``before`` was taken, unsigned twins first.

    The init script's ``module_list`` names the build folders; without it, the plugin's
    buildResult.json names files; without that, ``build`` and ``target`` folders are searched.
    Raises PackagingError when the build made nothing, and for a build folder outside ``root``.
    """
    for source in (_listed(root, module_list), _reported(root), built_modules(root)):
        written = [path for path in source if before.get(path) != _stamp(path)]
        if written:
            return without_twins(written)
    raise _nothing_made(root, before)


def built_modules(root: Path) -> list[Path]:
    """Return every module in ``root`` itself and in the build folders below it, sorted."""
    return sorted(
        path
        for path in _walk(root)
        if path.parent == root or _BUILD_FOLDERS & set(path.relative_to(root).parts[:-1])
    )


def without_twins(paths: Iterable[Path], *, prefer_signed: bool = False) -> tuple[Path, ...]:
    """Keep one of ``X.unsigned.modl`` and ``X.modl``: the unsigned one by default.

    The signed twin may be left over from an earlier build.
    """
    chosen: dict[Path, Path] = {}
    for path in paths:
        plain = path.with_name(_UNSIGNED.sub("", path.name))
        if plain not in chosen or is_named_unsigned(path) != prefer_signed:
            chosen[plain] = path
    return tuple(chosen.values())


def is_named_unsigned(path: Path) -> bool:
    """Return whether a file is called ``X.unsigned.modl`` or ``X-unsigned.modl``."""
    return _UNSIGNED.search(path.name) is not None


def unsigned_name(path: Path) -> str:
    """Return the name that the unsigned module gets: ``X.modl`` becomes ``X.unsigned.modl``."""
    return path.name if is_named_unsigned(path) else f"{path.stem}.unsigned{MODULE_SUFFIX}"


def reject_lfs_pointer(path: Path) -> None:
    """Raise PackagingError when Git left a pointer in place of the module."""
    with (
        explain_os_error("read", path, error=PackagingError, hint="give a regular file."),
        os.fdopen(open_regular(path, follow_links=True), "rb") as stream,
    ):
        head = stream.read(len(_LFS_MARK))
    if head == _LFS_MARK:
        raise PackagingError(
            f"{path.name} is a Git LFS pointer ({path.stat().st_size} bytes of text), not a module",
            hint="fetch the content with `git lfs pull`, or check out with `lfs: true`.",
        )


def _walk(root: Path) -> Iterator[Path]:
    for folder, files in _visit(root):
        for name in files:
            path = Path(folder, name)
            if name.lower().endswith(MODULE_SUFFIX) and _is_plain(path):
                yield path


def _is_plain(path: Path) -> bool:
    """Return whether it is a file: a link may lead to what the build itself can't read."""
    return path.is_file() and not path.is_symlink()


def _visit(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder that may hold modules, and the names of its files, sorted.

    Not by os.walk, which is recursive in Python 3.11: a build can make folders of any depth.
    """
    waiting = [str(root)]
    while waiting:
        folder = waiting.pop()
        folders: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    (folders if entry.is_dir(follow_symlinks=False) else files).append(entry.name)
        except OSError:  # gone, closed to us, or too deep for a path
            continue
        yield folder, sorted(files)
        inner = sorted((name for name in folders if name not in _PRUNED), reverse=True)
        waiting += [os.path.join(folder, name) for name in inner]


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_mtime_ns, status.st_size, status.st_ino)


def _listed(root: Path, module_list: Path | None) -> list[Path]:
    """Return the modules in the build folders that the init script wrote down."""
    if module_list is None:
        return []
    found: list[Path] = []
    for item in _read_json(module_list, default=[]):
        folder = str(item.get("buildDir", "")) if isinstance(item, dict) else ""
        if folder:
            found += _walk(_inside(root, folder))
    # One build folder may lie inside another.
    return list(dict.fromkeys(found))


def _inside(root: Path, folder: str) -> Path:
    """Return a folder of the project without links in its path; raises PackagingError."""
    top = os.path.realpath(root)
    try:
        real = Path(os.path.realpath(os.path.join(top, folder)))
    except (OSError, ValueError):  # no path at all
        real = Path("/")
    if not real.is_relative_to(top):
        raise PackagingError(
            f"the build folder {folder!r} is outside the project {root}",
            hint="build into a folder of the project, or pass the .modl file that was built.",
        )
    return root / real.relative_to(top)


def _reported(root: Path) -> list[Path]:
    """Return the modules that the plugin's reports name; their checksums are ignored."""
    found: list[Path] = []
    for folder, files in _visit(root):
        if BUILD_REPORT in files:
            report = _read_json(Path(folder, BUILD_REPORT), default={})
            names = {Path(text).name for text in _texts(report) if text.endswith(MODULE_SUFFIX)}
            twins = {unsigned_name(Path(name)) for name in names}
            found += [Path(folder, name) for name in sorted(names | twins)]
    return [path for path in found if _is_plain(path)]


def _read_json(path: Path, *, default: object) -> Iterable[object]:
    """Read a file that a build wrote; one that can't be read counts as missing."""
    try:
        content = json.loads(read_regular(path, limit=_MAX_REPORT, follow_links=False))
    except (OSError, ValueError, RecursionError):
        content = default
    return content if isinstance(content, list | dict) else []


def _texts(value: object) -> Iterator[str]:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            pending += item.values()
        elif isinstance(item, list):
            pending += item


def _nothing_made(root: Path, before: Snapshot) -> PackagingError:
    old = [path for path in built_modules(root) if path in before]
    if old:
        return PackagingError(
            f"the build made no module; {old[0].relative_to(root)} is from an earlier build",
            hint="do a clean build: add `clean` to the tasks.",
        )
    return PackagingError(
        f"the build succeeded but made no {MODULE_SUFFIX} file below {root}",
        hint="check that the project applies the module plugin, and which tasks run "
        "(--gradle-args); Gradle needs a settings.gradle or build.gradle that it understands.",
    )
