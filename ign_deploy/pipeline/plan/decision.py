"""Whether a path of a repository needs a release, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.errors import NotInRepository
from ign_deploy.packaging.identify import KnownModule
from ign_deploy.pipeline.git import Git
from ign_deploy.repositories import CatalogueEntry, Repository

# Records are foreign: nothing else may become an argument of git.
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_FETCH_ALL = "fetch it whole: `fetch-depth: 0` on GitHub, `GIT_DEPTH: 0` on GitLab"


@dataclass(frozen=True, slots=True)
class Decision:
    """A path, its modules as far as they are known, and whether it is to be released."""

    path: Path
    modules: tuple[KnownModule, ...]
    is_wanted: bool
    reason: str


def decide(
    path: Path,
    modules: tuple[KnownModule, ...],
    *,
    repository: Repository,
    env: Mapping[str, str],
) -> Decision:
    """Compare a path with what is published of its modules; what can't be told is released.

    Raises RepositoryError when the repository can't be asked.
    """
    if not modules:
        reason = "nobody knows its modules before they are built"
        return Decision(path, modules, is_wanted=True, reason=reason)
    reasons: list[str] = []
    for module in modules:
        is_wanted, reason = _compare(path, module, repository, env)
        if is_wanted:
            return Decision(path, modules, is_wanted=True, reason=reason)
        reasons.append(reason)
    return Decision(path, modules, is_wanted=False, reason="; ".join(reasons))


def _compare(
    path: Path, module: KnownModule, repository: Repository, env: Mapping[str, str]
) -> tuple[bool, str]:
    published = _published(module.id, repository)
    if not published:
        return True, f"no version of {module.id} is published"
    newest = published[0].version
    is_published = any(entry.version == module.version for entry in published)
    if module.version and not is_published:
        return True, f"{module.id} {module.version} isn't published; the newest is {newest}"
    git = Git.at(path, env)
    # As git has it, seen from the folder that it looks at.
    name = path.name if path.is_file() else "."
    if git is None or not git.tracks(name):
        if is_published:
            return False, f"{module.id} {module.version} is published; git doesn't know the path"
        return True, f"git doesn't know the path, so nobody can tell whether {module.id} changed"
    commit = repository.fetch(module.id, version=newest).commit
    is_wanted, reason = _since(commit, git, name)
    reason = f"{module.id} {newest}: {reason}"
    if is_wanted and is_published:
        reason += f"; but {module.version} is published already: raise the version"
    return is_wanted, reason


def _published(module_id: str, repository: Repository) -> Sequence[CatalogueEntry]:
    """Return the versions that weren't removals, highest first."""
    try:
        return [each for each in repository.catalogue(module_id) if each.yanked is None]
    except NotInRepository:
        return ()  # there is no repository yet


def _since(commit: str, git: Git, name: str) -> tuple[bool, str]:
    """Say whether the path has changed since that commit, or why that can't be told."""
    if not _COMMIT.fullmatch(commit):
        return True, "its record names no commit to compare with"
    short = commit[:12]
    if not git.knows(commit):
        missing = (
            f"the history is cut off ({_FETCH_ALL})" if git.is_shallow() else "another history"
        )
        return True, f"its commit {short} isn't in this checkout: {missing}"
    if not git.descends_from(commit):
        return True, f"its commit {short} isn't an ancestor of the one checked out"
    if git.is_unchanged_since(commit, name):
        return False, f"unchanged since its commit {short}"
    return True, f"changed since its commit {short}"
