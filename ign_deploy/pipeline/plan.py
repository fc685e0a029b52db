"""Which paths of a repository need a release, in the order of their modules' dependencies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ign_deploy.errors import ConfigurationError, IgnDeployError, NotInRepository
from ign_deploy.module.dependencies import Needs, dependency_order, repeated_id
from ign_deploy.module.parallel import map_parallel, usable_processors
from ign_deploy.packaging.identify import KnownModule, identify
from ign_deploy.packaging.isolation import IsolationError
from ign_deploy.packaging.project import Project, detect_project
from ign_deploy.pipeline.checks import Check, given_or_found, name_path, run_checks
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.git import Git
from ign_deploy.pipeline.package import protected_paths
from ign_deploy.pipeline.preflight import check_distinct
from ign_deploy.process import stop_running
from ign_deploy.repositories import CatalogueEntry, Repository

# Records are untrusted: nothing else may become an argument of git.
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# How the only project of a repository is tagged; of several, it may be another's tag.
_TAGS = "v{version}"
_TARGET_BRANCH = ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "CHANGE_TARGET")
_FETCH_ALL = "fetch the whole history: `fetch-depth: 0` on GitHub, `GIT_DEPTH: 0` on GitLab"


@dataclass(frozen=True, slots=True)
class Decision:
    """A path, its modules as far as they are known, and whether it needs a release."""

    path: Path
    modules: tuple[KnownModule, ...]
    needs_release: bool
    reason: str


def make_plan(paths: Sequence[Path], context: RunContext) -> tuple[Decision, ...]:
    """Decide for each path whether it needs a release; nothing is built.

    Without paths, for all projects below the working directory. The decisions come in dependency
    order, and are reported with their reasons. Raises CombinedError for paths that aren't projects,
    VerificationError for a circle of dependencies or an id that two paths share, RepositoryError
    when the repository doesn't answer.
    """
    paths = given_or_found(paths, context)
    projects = _projects(paths, context)
    settings = context.settings
    workers = settings.max_parallel or usable_processors()
    if not settings.all:
        _ = context.repository  # its files are read before a build tool runs
    # Before a build tool runs, too: it could lead git to another repository.
    checkouts = [None if settings.all else Git.at(path, context.env) for path in paths]
    jobs = list(zip(paths, projects, checkouts, strict=True))
    decide_one = partial(_decide, context=context, is_alone=len(paths) == 1)
    decisions = _in_order(map_parallel(decide_one, jobs, workers=workers, interrupt=stop_running))
    for each in decisions:
        verdict = "release" if each.needs_release else "skip"
        context.reporter.info(f"{verdict} {each.path}: {each.reason}")
    return decisions


def _projects(paths: Sequence[Path], context: RunContext) -> Sequence[Project]:
    """Find out what each path is; those that are nothing are reported together."""
    checks = [Check("paths", lambda: check_distinct(paths))]
    checks += [Check(str(path), partial(_project, path, context)) for path in paths]
    found = run_checks(checks, context)
    return [found[str(path)] for path in paths]


def _project(path: Path, context: RunContext) -> Project:
    if not str(path).isprintable():
        raise ConfigurationError(
            f"the path {str(path)!r} has characters that can't be printed",
            hint="rename it: CI hosts can't pass it on.",
        )
    try:
        return detect_project(path, env=context.env, skip_build=context.settings.skip_packaging)
    except IgnDeployError as problem:
        raise name_path(problem, path) from problem


def _decide(
    job: tuple[Path, Project, Git | None], context: RunContext, *, is_alone: bool
) -> Decision:
    path, project, git = job
    settings = context.settings
    try:
        modules = identify(
            project,
            env=context.env,
            timeout=settings.build_timeout,
            isolate=settings.isolation(),
            protected=protected_paths(context),
            reporter=context.reporter,
        )
    except (ConfigurationError, IsolationError) as problem:
        # It's no property of the project: its release would fail as well.
        raise name_path(problem, path) from problem
    except IgnDeployError as problem:
        reason = f"its modules are unknown: {problem.message}"
        return Decision(path, (), needs_release=True, reason=reason)
    if settings.all:
        return Decision(path, modules, needs_release=True, reason="--all was given")
    return decide(
        path,
        modules,
        repository=context.repository,
        git=git,
        tag_pattern=settings.tag_pattern or (_TAGS if is_alone else ""),
        branches=_branches(git, context),
    )


def _in_order(decisions: Sequence[Decision]) -> tuple[Decision, ...]:
    """Put each path after those whose modules its own modules need."""
    needs: dict[str, Needs] = {}
    owners: dict[str, Decision] = {}
    for number, decision in enumerate(decisions):
        # A path whose modules are unknown gets a key of its own; no id has a NUL.
        known = {module.id: module.needs for module in decision.modules}
        for module_id, each in (known or {f"\0{number}": Needs()}).items():
            if module_id in owners:
                raise _repeated_id(module_id, owners[module_id], decision)
            needs[module_id] = each
            owners[module_id] = decision
    # A path is done when its last module is.
    last = {
        id(owners[module_id]): location
        for location, module_id in enumerate(dependency_order(needs))
    }
    return tuple(sorted(decisions, key=lambda decision: last[id(decision)]))


def _repeated_id(module_id: str, first: Decision, second: Decision) -> IgnDeployError:
    from ign_deploy.errors import VerificationError

    finding = repeated_id(module_id, first.path, second.path, action="plan")
    return VerificationError.from_findings(finding)


def decide(
    path: Path,
    modules: tuple[KnownModule, ...],
    *,
    repository: Repository,
    git: Git | None,
    tag_pattern: str = "",
    branches: Sequence[str] = (),
) -> Decision:
    """Compare a path with what is published of its modules; when in doubt, it needs a release.

    ``git`` is the path's checkout, if it is in one. ``tag_pattern`` is how releases are tagged,
    ``branches`` are those that releases are made from. Raises RepositoryError when the repository
    doesn't answer.
    """
    if not modules:
        reason = "its modules are only known once they are built"
        return Decision(path, modules, needs_release=True, reason=reason)
    reasons: list[str] = []
    for module in modules:
        needs_release, reason = _compare(module, repository, git, tag_pattern, branches)
        if needs_release:
            return Decision(path, modules, needs_release=True, reason=reason)
        reasons.append(reason)
    return Decision(path, modules, needs_release=False, reason="; ".join(reasons))


def _compare(
    module: KnownModule,
    repository: Repository,
    git: Git | None,
    tag_pattern: str,
    branches: Sequence[str],
) -> tuple[bool, str]:
    published = _published(module.id, repository)
    if not published:
        return True, f"no version of {module.id} is published"
    newest = published[0].version
    is_published = any(entry.version == module.version for entry in published)
    if module.version and not is_published:
        return True, f"{module.id} {module.version} isn't published; the newest is {newest}"
    if git is None or not git.tracks_it():
        if is_published:
            return False, f"{module.id} {module.version} is published; the path is not in git"
        return True, f"cannot tell whether {module.id} changed: the path is not in git"
    commit = repository.fetch(module.id, version=newest).commit
    tag = tag_pattern.replace("{version}", newest)
    changed, reason = _since_release(commit, tag, git)
    reason = f"{module.id} {newest}: {reason}"
    if changed is None and is_published:
        changed, shown = _since_branch(branches, git)
        reason += f"; {shown}" if shown else ""
    if changed and is_published:
        reason += f"; but {module.version} is already published: raise the version"
    return changed is not False, reason


def _published(module_id: str, repository: Repository) -> Sequence[CatalogueEntry]:
    """Return the versions that aren't yanked, highest first."""
    try:
        return [each for each in repository.catalogue(module_id) if each.yanked is None]
    except NotInRepository:
        return ()  # there is no repository yet


def _since_release(commit: str, tag: str, git: Git) -> tuple[bool | None, str]:
    """Return whether the path changed since a release, None if unknown, and the reason.

    The release's own record says its commit, if it was made in a CI job; its tag may say it, too.
    """
    tagged = git.tagged(tag) if tag else ""
    if not _COMMIT.fullmatch(commit):
        if not tagged:
            missing = f", and there is no tag {tag}" if tag else ""
            return None, f"its record has no commit to compare with{missing}{_shallow(git)}"
        commit, name = tagged, f"its tag {tag}"
    else:
        name = f"its commit {commit[:12]}"
    if not git.knows(commit):
        return None, f"{name} isn't in this checkout{_shallow(git) or ': unrelated history'}"
    if not git.descends_from(commit):
        return None, f"{name} isn't an ancestor of the checked-out one"
    if git.is_unchanged_since(commit):
        return False, f"unchanged since {name}"
    return True, f"changed since {name}"


def _since_branch(branches: Sequence[str], git: Git) -> tuple[bool | None, str]:
    """Return whether the checked-out branch changes the path, and a sentence about it.

    If it doesn't, that is unknown: the branch that it left may have changes since the release.
    """
    for name in branches:
        for ref in git.branches(name):
            if base := git.left(ref):
                if git.is_unchanged_since(base):
                    return None, f"the checked-out branch doesn't change it, since it left {name}"
                return True, f"changed since it left {name}"
    return None, ""


def _shallow(git: Git) -> str:
    return f": it is shallow ({_FETCH_ALL})" if git.is_shallow() else ""


def _branches(git: Git | None, context: RunContext) -> Sequence[str]:
    """Return the branches that releases may be made from, the target of a merge request first."""
    if git is None:
        return ()
    targets = [context.env.get(name, "") for name in _TARGET_BRANCH]
    found = [*targets, *context.settings.protected_branch, git.main_branch()]
    return [name for name in dict.fromkeys(found) if name]
