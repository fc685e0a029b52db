"""Which paths of a repository need a release, in the order of their modules' dependencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ign_deploy.errors import ConfigurationError, IgnDeployError
from ign_deploy.module.dependencies import Needs, dependency_order
from ign_deploy.module.parallel import map_parallel, usable_processors
from ign_deploy.packaging.identify import KnownModule, identify
from ign_deploy.packaging.project import Project, detect
from ign_deploy.pipeline.batch_checks import check_distinct, name_path
from ign_deploy.pipeline.plan.decision import Decision, decide
from ign_deploy.pipeline.preflight import Check, PreflightFailed, run_checks
from ign_deploy.pipeline.publishing import open_configured_repository
from ign_deploy.process import stop_running
from ign_deploy.report import Reporter
from ign_deploy.settings import Settings


@dataclass(frozen=True, slots=True)
class Planning:
    """What a plan needs to know of its surroundings."""

    settings: Settings
    env: Mapping[str, str]
    reporter: Reporter


def make_plan(paths: Sequence[Path], planning: Planning) -> tuple[Decision, ...]:
    """Decide for each path whether it is to be released; nothing is built.

    The decisions come in dependency order, and are told with their reasons. Raises PreflightFailed
    for paths that are no projects, VerificationError for a circle of dependencies or an id that two
    paths have, RepositoryError when the repository can't be asked.
    """
    projects = _projects(paths, planning)
    workers = planning.settings.max_parallel or usable_processors()
    look = partial(_decide, planning=planning)
    jobs = list(zip(paths, projects, strict=True))
    decisions = _in_order(map_parallel(look, jobs, workers=workers, interrupt=stop_running))
    for each in decisions:
        verdict = "release" if each.is_wanted else "leave"
        planning.reporter.info(f"{verdict} {each.path}: {each.reason}")
    return decisions


def _projects(paths: Sequence[Path], planning: Planning) -> Sequence[Project]:
    """Find out what each path is; all that are nothing are reported together."""
    checks = [Check("paths", lambda: check_distinct(paths))]
    checks += [Check(str(path), partial(_project, path, planning)) for path in paths]
    found = run_checks(checks, reporter=planning.reporter)
    return [found[str(path)] for path in paths]


def _project(path: Path, planning: Planning) -> Project:
    if not str(path).isprintable():
        raise ConfigurationError(
            f"{str(path)!a} has characters that can't be printed",
            hint="rename it: CI hosts can't hand it on.",
        )
    try:
        return detect(path, env=planning.env, skip_build=planning.settings.skip_packaging)
    except IgnDeployError as problem:
        raise PreflightFailed((name_path(problem, path),)) from problem


def _decide(job: tuple[Path, Project], planning: Planning) -> Decision:
    path, project = job
    modules: tuple[KnownModule, ...] = ()
    try:
        timeout = planning.settings.build_timeout
        modules = identify(project, env=planning.env, timeout=timeout)
    except IgnDeployError as problem:
        reason = f"nobody can tell its modules: {problem.message}"
        return Decision(path, (), is_wanted=True, reason=reason)
    if planning.settings.all:
        return Decision(path, modules, is_wanted=True, reason="all were asked for")
    repository = open_configured_repository(
        planning.settings, env=planning.env, reporter=planning.reporter
    )
    return decide(path, modules, repository=repository, env=planning.env)


def _in_order(decisions: Sequence[Decision]) -> tuple[Decision, ...]:
    """Put each path after those whose modules its own modules need."""
    needs: dict[str, Needs] = {}
    owners: dict[str, Decision] = {}
    for number, decision in enumerate(decisions):
        # A path whose modules aren't known keeps a place of its own; no id has a NUL.
        known = {module.id: module.needs for module in decision.modules}
        for module_id, each in (known or {f"\0{number}": Needs()}).items():
            if module_id in owners:
                raise _one_id(module_id, owners[module_id], decision)
            needs[module_id] = each
            owners[module_id] = decision
    # A path is done when its last module is.
    last = {
        id(owners[module_id]): location
        for location, module_id in enumerate(dependency_order(needs))
    }
    return tuple(sorted(decisions, key=lambda decision: last[id(decision)]))


def _one_id(module_id: str, first: Decision, second: Decision) -> IgnDeployError:
    from ign_deploy.errors import VerificationError
    from ign_deploy.module.findings import error

    finding = error(
        "module-id-repeated",
        f"{first.path} and {second.path} have one id: {module_id!a}",
        location=str(second.path),
        hint="give each module an id of its own, or plan only one of them.",
    )
    return VerificationError.from_findings(finding)


__all__ = ["Planning", "make_plan"]
