"""Identifying a project's modules without building them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ign_deploy.errors import IgnDeployError, PackagingError
from ign_deploy.files import read_regular
from ign_deploy.module.archive import Archive
from ign_deploy.module.dependencies import Needs
from ign_deploy.module.descriptor import ModuleDescriptor, read_descriptor
from ign_deploy.packaging.artifacts import built_modules, reject_lfs_pointer, without_twins
from ign_deploy.packaging.commands import gradle_list_command, module_list, write_init_script
from ign_deploy.packaging.explain import FailureWatch, build_error
from ign_deploy.packaging.folder import folder_module_name, read_folder_descriptor
from ign_deploy.packaging.isolation import (
    IsolateMode,
    Isolation,
    IsolationError,
    Sandbox,
    choose_isolation,
    open_sandbox,
)
from ign_deploy.packaging.project import Project, ProjectKind
from ign_deploy.packaging.protected import Protected
from ign_deploy.process import ProcessesLeft, ProcessTimeout, build_environment, run_command
from ign_deploy.report import Reporter, SilentReporter

_MAX_LIST = 1 << 20
_NOTHING = Protected()


@dataclass(frozen=True, slots=True)
class KnownModule:
    """A module before its build; unknown fields are empty.

    ``file_name`` is what the unsigned module will be called, where that is known.
    """

    id: str
    version: str = ""
    name: str = ""
    needs: Needs = field(default_factory=Needs)
    file_name: str = ""


def known_modules(project: Project) -> tuple[KnownModule, ...]:
    """Return the modules of a prebuilt project or a folder; none where only a build can tell.

    Raises our errors, and OSError, for what can't be read.
    """
    if project.kind is ProjectKind.PREBUILT:
        found = map(_of_file, project.files)
        return tuple(module for module in found if module.id)
    if project.kind is ProjectKind.FOLDER:
        descriptor = read_folder_descriptor(project.root)
        known = _of_descriptor(descriptor, folder_module_name(descriptor))
        return (known,) if known.id else ()
    return ()


def identify(
    project: Project,
    *,
    env: Mapping[str, str],
    timeout: float,
    isolate: IsolateMode = "auto",
    protected: Protected = _NOTHING,
    reporter: Reporter | None = None,
) -> tuple[KnownModule, ...]:
    """Return the project's modules; none where they can't be known before a build.

    Gradle is asked to configure the project, which runs its build scripts but no task of theirs;
    ``timeout`` is in seconds, and the reporter learns whether it is isolated. With Maven, only an
    earlier build tells the ids. Raises our errors, such as PackagingError when Gradle fails.
    """
    if project.kind.is_gradle:
        isolation = choose_isolation(isolate, project=project, env=env)
        if reporter is not None:
            reporter.info(isolation.describe())
        title = f"listing the modules of {project.root.absolute().name}"
        with (reporter or SilentReporter()).waiting(title, limit=timeout):
            return _of_gradle(
                project, env=env, timeout=timeout, isolation=isolation, protected=protected
            )
    if project.kind.is_maven:
        return tuple(_built_by_maven(project))
    return known_modules(project)


def _of_file(path: Path) -> KnownModule:
    reject_lfs_pointer(path)
    with Archive.open(path) as archive:
        return _of_descriptor(read_descriptor(archive), path.name)


def _of_descriptor(descriptor: ModuleDescriptor, file_name: str = "") -> KnownModule:
    needs = Needs.of(descriptor)
    return KnownModule(descriptor.id, descriptor.version, descriptor.name, needs, file_name)


def _built_by_maven(project: Project) -> Iterator[KnownModule]:
    """Yield what an earlier build left; its versions may be outdated, so they are ignored."""
    found: dict[str, KnownModule] = {}
    for path in without_twins(built_modules(project.root)):
        try:
            known = _of_file(path)
        except (IgnDeployError, OSError):
            continue  # a half-written file of a failed build
        found.setdefault(known.id, KnownModule(known.id, name=known.name, needs=known.needs))
    yield from found.values()


def _of_gradle(
    project: Project,
    *,
    env: Mapping[str, str],
    timeout: float,
    isolation: Isolation,
    protected: Protected,
) -> tuple[KnownModule, ...]:
    try:
        with open_sandbox(project, isolation=isolation, env=env, protected=protected) as sandbox:
            return _list_modules(project, sandbox, env=env, timeout=timeout)
    except ProcessesLeft as cause:
        raise IsolationError(
            str(cause), hint="see which processes are left (ps -ef), and what starts them."
        ) from cause
    except ProcessTimeout as cause:
        raise PackagingError(
            f"Gradle did not list its modules within {timeout:g} s and was stopped",
            hint="allow more time with --build-timeout.",
        ) from cause


def _list_modules(
    project: Project, sandbox: Sandbox, *, env: Mapping[str, str], timeout: float
) -> tuple[KnownModule, ...]:
    watch = FailureWatch()
    listing = module_list(sandbox.private)
    done = run_command(
        gradle_list_command(
            project, init_script=write_init_script(sandbox.private), module_list=listing
        ),
        cwd=project.root,
        env=build_environment(env, extra=sandbox.variables),
        timeout=timeout,
        on_line=watch.see,
        account=sandbox.account,
    )
    if done.returncode != 0:
        why = f": {watch.meaning}" if watch.meaning else ""
        raise build_error(
            f"Gradle failed to list its modules (exit code {done.returncode}){why}",
            watch,
            root=project.root,
        )
    return tuple(_listed(listing))


def _listed(listing: Path) -> Iterator[KnownModule]:
    """Read what the init script wrote; a build may have tampered with it."""
    try:
        content = json.loads(read_regular(listing, limit=_MAX_LIST, follow_links=False))
    except (OSError, ValueError, RecursionError):
        return
    for item in content if isinstance(content, list) else []:
        if isinstance(item, dict) and _text(item, "id"):
            required = _ids(item, "depends") - {_text(item, "id")}
            needs = Needs(required, _ids(item, "optional") - required - {_text(item, "id")})
            yield KnownModule(_text(item, "id"), _text(item, "version"), _text(item, "name"), needs)


def _ids(item: Mapping[str, Any], key: str) -> frozenset[str]:
    named = item.get(key)
    return frozenset(
        each for each in (named if isinstance(named, list) else []) if isinstance(each, str)
    )


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    return value.strip() if isinstance(value, str) else ""
