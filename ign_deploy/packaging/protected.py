"""What a build must not touch: files of this run that may lie in the project's own folder."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.errors import PackagingError


@dataclass(frozen=True, slots=True)
class Protected:
    """Files and folders, existing or not: ``kept`` can't be changed, ``secret`` not even read."""

    kept: tuple[Path, ...] = ()
    secret: tuple[Path, ...] = ()

    def in_project(self, root: Path) -> tuple[Path, ...]:
        """Return what keeps its owner: these, and our own files that are part of the project."""
        top = root.resolve()
        # A virtual environment with our code often is; a folder for our temporary files may be.
        ours = (Path(__file__).parents[1], Path(sys.prefix), Path(tempfile.gettempdir()).resolve())
        return (*self.kept, *self.secret, *(each for each in ours if each.is_relative_to(top)))


@contextmanager
def requiring_in_place(
    root: Path, *, outputs: Iterable[Path], kept: Iterable[Path]
) -> Iterator[None]:
    """Run the block, which builds the project in ``root``; then check what this run will write to.

    A build could lead our files elsewhere: by a link in the place of the output folder, or of the
    project itself. Such links are removed, whether it succeeds or not. Raises PackagingError for
    them, and if the build has made what is ``kept``, such as a repository, before we could.
    """
    kept = [each.absolute() for each in kept]
    watched = [root, *(each.absolute() for each in outputs), *kept]
    before = _links(watched)
    missing = [each for each in kept if each.is_relative_to(root) and not os.path.lexists(each)]
    replaced: list[Path] = []
    try:
        yield
    finally:
        for link, target in _links(watched).items():
            if before.get(link) != target:
                replaced.append(link)
                with suppress(OSError):
                    link.unlink()
    made = [each for each in missing if os.path.lexists(each)]
    if replaced:
        raise PackagingError(
            f"the build put a link in the place of {replaced[0]}, which this run needs",
            hint="find out what in the build does that; the link has been removed.",
        )
    if made:
        raise PackagingError(
            f"the build made {made[0]}, which belongs to this run",
            hint="find out what in the build does that, then remove it.",
        )


def _links(paths: Iterable[Path]) -> dict[Path, str]:
    """Return the links among the paths and the folders that they are in, outermost first."""
    every = {each for path in paths for each in (path, *path.parents)}
    links: dict[Path, str] = {}
    for each in sorted(every, key=lambda path: len(path.parts)):
        with suppress(OSError):
            links[each] = str(each.readlink())
    return links
