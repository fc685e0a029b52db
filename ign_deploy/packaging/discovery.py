"""Finding the projects below a folder, without running anything of theirs."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.errors import PackagingError
from ign_deploy.module.descriptor_xml import DESCRIPTOR_NAME
from ign_deploy.packaging.project import GRADLE_FILES, MAVEN_FILE

_SIGNS = ("gradlew", *GRADLE_FILES, "mvnw", MAVEN_FILE, DESCRIPTOR_NAME)
# What builds and tools make, and where sources are: no project begins there.
_SKIPPED = frozenset({"build", "dist", "gradle", "node_modules", "out", "src", "target", "venv"})
_DEPTH = 4
_MOST_FOLDERS = 10_000


@dataclass(frozen=True, slots=True)
class Discovery:
    """The projects below a folder, and the folders that were not searched; relative, sorted."""

    projects: tuple[Path, ...]
    left_out: tuple[Path, ...] = ()


def find_projects(root: Path) -> Discovery:
    """Return the folders with build files or a module.xml, at most four levels down.

    A project's own folders aren't searched: one build makes them all. Neither are links, hidden
    folders, and those that builds make. Raises PackagingError when there are too many folders.
    """
    if _is_project(root):
        return Discovery((Path(),))
    found: list[Path] = []
    left_out: list[Path] = []
    level = [Path()]
    seen = 0
    for depth in range(_DEPTH):
        deeper: list[Path] = []
        for folder in level:
            try:
                names = _folders_in(root / folder)
            except OSError:
                left_out.append(folder)
                continue
            seen += len(names)
            if seen > _MOST_FOLDERS:
                raise PackagingError(
                    f"more than {_MOST_FOLDERS} folders in {root}, too many to search",
                    hint="run it in the folder of your projects, or name their paths.",
                )
            for name in names:
                path = folder / name
                (found if _is_project(root / path) else deeper).append(path)
        level = deeper
        if depth == _DEPTH - 1:
            left_out += level
    return Discovery(tuple(sorted(found)), tuple(sorted(left_out)))


def expand_patterns(patterns: Sequence[str]) -> Discovery:
    """Return the projects that the patterns name, such as ``modules/*``, in their order.

    A path without a wildcard is taken as it is; of what a pattern finds, only projects and module
    files are. Raises PackagingError for a pattern that finds none.
    """
    found: list[Path] = []
    left_out: list[Path] = []
    for pattern in patterns:
        if not glob.has_magic(pattern):
            found.append(Path(pattern))
            continue
        matches = [Path(each) for each in sorted(glob.glob(pattern, recursive=True))]
        chosen = [each for each in matches if _is_project(each) or each.suffix == ".modl"]
        left_out += [each for each in matches if each not in chosen and each.is_dir()]
        if not chosen:
            raise PackagingError(
                f"the pattern {pattern!r} in the config file finds no project",
                hint="correct `paths`; it is relative to the config file.",
            )
        found += chosen
    return Discovery(tuple(dict.fromkeys(found)), tuple(dict.fromkeys(left_out)))


def _folders_in(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [
            entry.name
            for entry in entries
            if entry.is_dir(follow_symlinks=False)
            and not entry.name.startswith(".")
            and entry.name not in _SKIPPED
        ]


def _is_project(folder: Path) -> bool:
    return any(os.path.isfile(folder / name) for name in _SIGNS)
